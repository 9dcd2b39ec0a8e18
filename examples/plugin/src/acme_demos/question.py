"""What demos win: `salesflow ask acme-demos`."""

from typing import ClassVar

from acme_demos.demo_table import DEMO
from salesflow.domain.time import Moment
from salesflow.domain.values import Reference, Value
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.question import Question, Reader, View

__all__ = ["Demos", "DemosView", "ShownProduct"]


class ShownProduct(Value):
    """One product: how often it was shown, in how many deals, and what became of them."""

    product: Reference
    demos: int
    deals: int
    won: int
    open: int


class DemosView(View):
    """The products that were shown, the most won deals first."""

    population: ClassVar[str] = "every deal in which a product had been shown at the moment"
    formula: ClassVar[str] = (
        "per product: count of demos, of deals, of those won and still open"
    )
    population_zh: ClassVar[str] = "截至该时刻做过产品演示的全部商机"
    formula_zh: ClassVar[str] = "按产品统计的演示次数、商机数、其中赢单数与进行中的商机数"
    products: tuple[ShownProduct, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out for people; words of a package's own are put into Chinese here."""
        columns = ("Product", "Demos", "Deals", "Won", "Open")
        title = "Demos"
        if language == "zh":
            title, columns = "产品演示", ("产品", "演示次数", "商机数", "赢单数", "进行中")
        rows = (
            (each.product, *(f"{n:,}" for n in (each.demos, each.deals, each.won, each.open)))
            for each in self.products
        )
        return [TableOfView(title, columns, tuple(rows))]


class Demos(Question[DemosView]):
    """What became of the deals in which a product was shown?"""

    name: ClassVar[str] = "acme-demos"
    folds: ClassVar[tuple[str, ...]] = (DEMO.name,)
    owner: Reference | None = None
    """Only deals of this owner; of all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> DemosView:
        """Count the rows that hold at the moment."""
        rows = reader.columns(DEMO)
        rows = rows.where(rows.fitting({"owner": self.owner}))
        products = grouped(rows["product"])
        counted = zip(
            rows.cells("product", products.first),
            products.sums(rows["demos"]).tolist(),
            products.counts().tolist(),
            products.sums(rows.has("outcome", "won")).tolist(),
            products.sums(rows.has("outcome", "open")).tolist(),
            strict=True,
        )
        fields = ShownProduct.model_fields
        found = [ShownProduct(**dict(zip(fields, each, strict=True))) for each in counted]
        found.sort(key=lambda each: (-each.won, -each.deals, each.product))
        return DemosView(moment=moment, products=tuple(found))
