"""What is offered in a deal: products, quantities, prices in the customer's currency."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Final

from salesflow.demo.world import PRODUCTS, RATES, Company, Product
from salesflow.domain.deal.quotes import QuoteLine
from salesflow.domain.values import Money

__all__ = [
    "ASKED",
    "CHANNELS",
    "CONTACT_NOTES",
    "DECISIONS",
    "HELP",
    "LEAD_SOURCES",
    "LOSS_NOTES",
    "MESSAGES",
    "NEXT_STEPS",
    "OPEN_TASKS",
    "PRAISE",
    "PROMISES",
    "SERVICES",
    "SOLUTIONS",
    "DemoOffer",
    "cny_per",
    "offer_for",
]


MANY: Final = {"IOT-GATE": (4, 36), "CRM-TEAM": (1, 5), "WMS-PRO": (1, 2), "SVC-YEAR": (1, 3)}
"""Quantities of products that are not bought singly, for a customer of size one."""
THOUSAND = Decimal(1000)
MONTHS_A_QUARTER = 3


@dataclass(frozen=True)
class DemoOffer:
    """A list of products at list price, and what it adds up to."""

    title: str
    lines: tuple[QuoteLine, ...]

    @property
    def total(self) -> Money:
        """The sum at list price."""
        first, *rest = (line.total for line in self.lines)
        return sum(rest, start=first)

    @property
    def budget(self) -> Money:
        """What such a customer sets aside: a round sum not far from the list price."""
        return _round(self.total, Decimal("1.05"))

    def rough(self, chance: Random) -> Money:
        """What a rep thinks it may be worth before knowing much."""
        return _round(self.total, Decimal(chance.randint(70, 130)) / 100)

    def at_discount(self, percent: int) -> tuple[QuoteLine, ...]:
        """Return the lines with so many percent off."""
        off = Decimal(percent) / 100
        return tuple(line.model_copy(update={"discount": off}) for line in self.lines)


def offer_for(company: Company, day: date, chance: Random) -> DemoOffer:
    """Put an offer together for a customer."""
    products = chance.sample(PRODUCTS, chance.choices((1, 2, 3), (5, 4, 2))[0])
    rate = Decimal(1) if company.currency == "CNY" else cny_per(company.currency, day)
    lines = tuple(_line(product, company, rate, chance) for product in products)
    short = company.name.removesuffix("有限公司").removesuffix("股份")
    return DemoOffer(f"{products[0].name.split(' / ')[0]} · {short}", lines)


def cny_per(currency: str, day: date) -> Decimal:
    """Return the invented rate of a day, straight between the starts of quarters."""
    month = (day.year - 2024) * 12 + day.month - 1
    quarter, rest = divmod(month, MONTHS_A_QUARTER)
    rates = RATES[currency]
    here = rates[min(quarter, len(rates) - 1)]
    there = rates[min(quarter + 1, len(rates) - 1)]
    return (here + (there - here) * rest / MONTHS_A_QUARTER).quantize(Decimal("0.0001"))


def _line(product: Product, company: Company, rate: Decimal, chance: Random) -> QuoteLine:
    low, high = MANY.get(product.key, (1, 1))
    quantity = max(1, round(chance.randint(low, high) * company.size))
    price = product.price / rate
    if high == 1:
        price *= Decimal(str(company.size))
    price = price.quantize(Decimal(10), ROUND_HALF_EVEN)
    return QuoteLine(
        product=product.key,
        quantity=Decimal(quantity),
        unit_price=Money(int(price), company.currency),
    )


def _round(money: Money, factor: Decimal) -> Money:
    amount = (money.amount * factor / THOUSAND).to_integral_value(ROUND_HALF_EVEN) * THOUSAND
    return Money(int(max(amount, THOUSAND)), money.currency)


# What the people of the simulation say and write, in Chinese and English as it comes.

CHANNELS: Final = ("call", "visit", "meeting", "email", "message")
LEAD_SOURCES: Final = ("campaign", "referral", "website", "trade_fair", "partner", "cold_call")

CONTACT_NOTES: Final = (
    "初次电话，客户愿意听方案 / first call, open to a talk",
    "现场参观车间 / walked through the shop floor",
    "客户发来需求清单 / customer sent a list of needs",
    "与信息部对接接口 / interfaces discussed with IT",
    "跟进会议，确认时间表 / follow-up, timetable confirmed",
    "客户要求案例参考 / asked for references",
    "微信沟通合同细节 / contract details by message",
    "管理层演示 / demo for the management",
)
NEXT_STEPS: Final = ("发送资料", "安排演示", "约见决策人", "准备报价", "send references", None)

SOLUTIONS: Final = (
    "标准套件加两周实施 / standard suite, two weeks of rollout",
    "分两期上线，先仓库后车间 / two phases, warehouse first",
    "云端部署加本地网关 / cloud with gateways on site",
)

MESSAGES: Final = (
    "客户周五前要最终报价，请财务确认折扣",
    "样机已寄出，请跟进签收",
    "合同第 7 条法务还有意见",
    "The customer asks for a Friday answer",
    "竞争对手降价 8%，我们要不要跟？",
)
HELP: Final = (
    (
        "pre_sales",
        "接口能否对接客户旧 ERP？",
        "可以，用标准连接器 / yes, by the standard connector",
    ),
    ("finance", "能否给 60 天账期？", "可以，需首付三成 / yes, with 30 % down"),
    ("legal", "客户要求修改责任条款", "改为上限 100% / capped at the contract value"),
)

DECISIONS: Final = (
    "按标准方案报价 / quote the standard solution",
    "先做接口验证 / try the interface first",
    "折扣不超过 8% / no more than 8 % off",
)
OPEN_TASKS: Final = ("发送更新后的报价 / send the new quote", "安排样机 / arrange the trial")
PROMISES: Final = ("五月前完成演示 / a demo before May", "专人驻场两周 / two weeks on site")

LOSS_NOTES: Final = (
    "客户预算被冻结",
    "决策推迟到明年",
    "the other offer was a fifth cheaper",
    "联系人离职，项目搁置",
)
PRAISE: Final = (
    (1, "上线延误三周，很失望 / three weeks late"),
    (2, "培训不够 / too little training"),
    (3, "基本满足需求 / does the job"),
    (4, "响应及时 / quick answers"),
    (5, "团队专业，强烈推荐 / excellent team"),
)
ASKED: Final = "您对本次实施满意吗？"
SERVICES: Final = ("上线培训 / training", "系统巡检 / health check", "数据核对 / data review")
