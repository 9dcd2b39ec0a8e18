"""placeholder"""

from hypothesis import strategies as st

from properties.asked.case import Case
from salesflow.projections.pipeline.funnel import Funnel

CASE = Case(st.just(Funnel()), lambda v: None, lambda *a: None)
