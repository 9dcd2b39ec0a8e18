"""Small exports of each system, as they lie in a folder: the name of each file, its text."""

from typing import Final

from salesflow.adapters.importers.crm.salesforce import Salesforce
from salesflow.adapters.importers.crm.system import CrmSystem

__all__ = ["EXPORTS", "SALESFORCE"]

ZERO = ":00.000+0000"
SALESFORCE: Final = {
    "Opportunity.csv": f"""\
Id,AccountId,Name,StageName,Amount,Probability,CloseDate,IsClosed,IsWon,ForecastCategoryName,\
CreatedDate,LastModifiedDate,OwnerId,CurrencyIsoCode,IsDeleted
D1,A1,Rollout,Closed Won,120,100,2026-03-31,true,true,Closed,\
2026-01-05T09:00{ZERO},2026-03-02T10:00{ZERO},U2,EUR,false
D2,A1,Service,Closed Lost,50,0,2026-02-28,true,false,Omitted,\
2026-01-06T09:00{ZERO},2026-02-20T10:00{ZERO},U1,EUR,false
D3,,Old one,Qualification,,20,2026-06-30,false,false,Pipeline,\
2026-02-01T09:00{ZERO},2026-02-11T08:00{ZERO},U1,EUR,false
D4,A1,Gone,Prospecting,1,10,2026-06-30,false,false,Pipeline,\
2026-02-01T09:00{ZERO},2026-02-11T08:00{ZERO},U1,EUR,true
""",
    "OpportunityHistory.csv": f"""\
Id,OpportunityId,CreatedById,CreatedDate,StageName,Amount,CloseDate,Probability,\
ForecastCategory,IsDeleted
H1,D1,U1,2026-01-05T09:00{ZERO},Prospecting,100,2026-02-28,10,Pipeline,false
H3,D1,U1,2026-03-01T10:00{ZERO},Closed Won,120,2026-03-31,100,Closed,false
H2,D1,U1,2026-02-01T10:00{ZERO},Qualification,100,2026-03-31,20,Pipeline,false
H4,D2,U1,2026-01-06T09:00{ZERO},Prospecting,50,2026-02-28,10,Pipeline,false
H5,D2,U1,2026-02-01T09:00{ZERO},Closed Won,50,2026-02-28,100,Closed,false
H6,D2,U1,2026-02-20T10:00{ZERO},Closed Lost,50,2026-02-28,0,Omitted,false
""",
    "OpportunityFieldHistory.csv": f"""\
Id,OpportunityId,CreatedById,CreatedDate,Field,OldValue,NewValue,IsDeleted
F1,D1,U9,2026-02-15T10:00{ZERO},Owner,U1,U2,false
F2,D1,U9,2026-03-01T10:00{ZERO},StageName,Qualification,Closed Won,false
""",
    "Account.csv": "Id,Name,Industry,IsDeleted\nA1,云帆科技,Software,false\n",
}
EXPORTS: Final[dict[str, tuple[type[CrmSystem], dict[str, str]]]] = {
    "salesforce": (Salesforce, SALESFORCE),
}
"""The systems there are, and an export of each."""
