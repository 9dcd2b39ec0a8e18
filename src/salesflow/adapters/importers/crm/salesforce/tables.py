"""The tables of Salesforce that are read, by their columns, and how values are written."""

from collections.abc import Mapping
from typing import Any, Final

from salesflow.adapters.importers.crm.exports import TableShape, used
from salesflow.adapters.importers.crm.reading import TRUE

__all__ = ["ID_LENGTHS", "SHAPES", "first", "is_id", "is_true", "plain"]


ID_LENGTHS: Final = (15, 18)
"""Ids of Salesforce; of 18 characters the last three are a checksum."""


SHAPES: Final = (
    TableShape(
        "OpportunityStage",
        ("masterlabel|apiname", "isclosed", "iswon"),
        ("opportunitystage",),
        used("id isactive sortorder defaultprobability forecastcategory"),
    ),
    TableShape(
        "Account",
        ("id|accountid", "name|accountname"),
        ("account",),
        used("industry billingcountry isdeleted createddate"),
    ),
    TableShape(
        "Contact",
        ("id|contactid", "lastname|name", "accountid"),
        ("contact",),
        used("firstname title email phone isdeleted createddate"),
    ),
    TableShape(
        "Opportunity",
        ("id|opportunityid", "name|opportunityname", "stagename|stage"),
        ("opportunity", "opportunities"),
        used(
            "accountid account amount probability closedate leadsource isclosed iswon"
            " createddate lastmodifieddate laststagechangedate ownerid owner"
            " forecastcategory forecastcategoryname currencyisocode isdeleted"
            " stagesortorder createdbyid lossreasonc lossreason closedlostreasonc"
            " hasopportunitylineitem"
        ),
    ),
    TableShape(
        "OpportunityHistory",
        ("opportunityid", "stagename", "createddate|systemmodstamp"),
        (),
        used(
            "id createdbyid amount closedate probability forecastcategory isdeleted"
            " prevamount prevclosedate fromopportunitystagename fromforecastcategory"
            " currencyisocode expectedrevenue"
        ),
    ),
    TableShape(
        "OpportunityFieldHistory",
        ("opportunityid", "field", "newvalue", "createddate"),
        (),
        used("id createdbyid oldvalue datatype isdeleted"),
    ),
    TableShape(
        "OpportunityCompetitor",
        ("opportunityid", "competitorname"),
        (),
        used("id strengths weaknesses createddate isdeleted"),
    ),
    TableShape(
        "OpportunityContactRole",
        ("opportunityid", "contactid", "role|isprimary"),
        (),
        used("id createddate createdbyid isdeleted"),
    ),
    TableShape(
        "Product2",
        ("id|product2id", "name|productname"),
        ("product2", "product"),
        used("productcode isdeleted"),
    ),
    TableShape(
        "PricebookEntry",
        ("id|pricebookentryid", "product2id|name"),
        ("pricebookentry", "pricebookentries"),
        used("name productcode isdeleted"),
    ),
    TableShape(
        "OpportunityLineItem",
        ("opportunityid", "quantity", "unitprice"),
        (),
        used(
            "id name productname product2name product2id pricebookentryid productcode discount"
            " totalprice sortorder currencyisocode createddate createdbyid lastmodifieddate"
            " systemmodstamp isdeleted"
        ),
    ),
    TableShape(
        "UserRole",
        ("id|userroleid", "name"),
        ("userrole",),
        used("lastmodifieddate"),
    ),
    TableShape(
        "User",
        ("id|userid", "name|lastname"),
        ("user", "users"),
        used("firstname userroleid createddate lastmodifieddate"),
    ),
    TableShape(
        "CurrencyType",
        ("isocode", "conversionrate", "iscorporate"),
        (),
        used("lastmodifieddate"),
    ),
    TableShape(
        "DatedConversionRate",
        ("isocode", "conversionrate", "startdate"),
    ),
    TableShape(
        "Period",
        ("type", "startdate", "enddate"),
        ("period",),
    ),
)


def first(values: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of some columns that is not empty."""
    return next((values[name] for name in names if values.get(name)), None)


def plain(text: object) -> str:
    """Return a value of a list without case, spaces and signs."""
    return "".join(c for c in str(text or "").casefold() if c.isalnum())


def is_true(value: object) -> bool:
    """Return whether a value stands for yes."""
    return str(value or "").casefold() in TRUE


def is_id(text: object) -> bool:
    """Return whether a text is an id of Salesforce: digits and letters, a digit first."""
    written = str(text or "")
    return len(written) in ID_LENGTHS and written.isalnum() and written[:1].isdigit()
