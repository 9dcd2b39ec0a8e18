"""The invented world of the simulation: reps, customers, products, and what people say.

All names are made up. Reps are opaque ids, as everywhere in salesflow.
"""

import heapq
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.errors import DealClosedError, NotFoundError, RuleError

__all__ = [
    "COMPETITORS",
    "CUSTOMERS",
    "END",
    "HOLIDAYS",
    "NEEDS",
    "OBJECTIONS",
    "PRODUCTS",
    "RATES",
    "REPS",
    "START",
    "SUPPORT",
    "ZONE",
    "Agenda",
    "Company",
    "DemoRep",
    "Doubt",
    "Life",
    "Product",
    "TurnedClock",
    "is_workday",
    "office_time",
]


class DemoRep(NamedTuple):
    """A sales rep: an opaque id, a team, how well they sell and how late they write it up."""

    id: str
    team: str
    skill: float
    """Multiplies the chance of winning."""
    tardiness: float
    """Share of what they do that is entered a day or more later."""
    since: date
    until: date = date(2099, 12, 31)


class Company(NamedTuple):
    """A possible customer."""

    name: str
    segment: str
    region: str
    currency: str
    size: float
    """Multiplies the size of its deals."""
    contact: str
    job: str


class Product(NamedTuple):
    """Something sold, with its list price in CNY."""

    key: str
    name: str
    price: Decimal


class Doubt(NamedTuple):
    """What customers object, and what answers it."""

    kind: str
    text: str
    answer: str


REPS: Final = (
    DemoRep("east-01", "east", 1.25, 0.04, date(2024, 1, 1)),
    DemoRep("east-02", "east", 1.00, 0.10, date(2024, 1, 1)),
    DemoRep("east-03", "east", 0.85, 0.06, date(2024, 1, 1), date(2025, 4, 11)),
    DemoRep("east-04", "east", 1.05, 0.08, date(2024, 9, 2)),
    DemoRep("south-01", "south", 1.15, 0.05, date(2024, 1, 1)),
    DemoRep("south-02", "south", 0.90, 0.14, date(2024, 1, 1)),
    DemoRep("south-03", "south", 1.00, 0.07, date(2024, 1, 1)),
    DemoRep("south-04", "south", 0.80, 0.09, date(2025, 3, 3)),
)
"""Two teams of four; one rep leaves in spring 2025, two join on the way."""

SUPPORT: Final = (
    ("pre-01", "pre_sales", "solution architect"),
    ("pre-02", "pre_sales", "solution architect"),
    ("svc-01", "service", "delivery manager"),
    ("fin-01", "finance", "controller"),
    ("law-01", "legal", "counsel"),
)
"""Colleagues of other departments who join deals: id, department, role."""

CUSTOMERS: Final = (
    Company("江南精密机械有限公司", "manufacturing", "east", "CNY", 1.4, "沈国梁", "生产总监"),
    Company(
        "华东锦程物流股份有限公司", "logistics", "east", "CNY", 1.6, "顾晓燕", "信息部经理"
    ),
    Company("苏州明德电子科技有限公司", "electronics", "east", "CNY", 1.1, "陆建明", "总经理"),
    Company("杭州云栖软件有限公司", "software", "east", "CNY", 0.8, "方雅琴", "采购经理"),
    Company("宁波海曙塑业有限公司", "manufacturing", "east", "CNY", 0.7, "郑海波", "厂长"),
    Company("上海浦江医疗器械有限公司", "healthcare", "east", "CNY", 1.5, "曹静怡", "运营总监"),
    Company("无锡太湖新能源有限公司", "energy", "east", "CNY", 1.8, "钱志远", "副总裁"),
    Company("南京紫金生物制药有限公司", "healthcare", "east", "CNY", 1.7, "葛慧敏", "IT总监"),
    Company("合肥科创仪器有限公司", "electronics", "east", "CNY", 0.9, "吴昊", "研发经理"),
    Company("常州东方纺织集团", "manufacturing", "east", "CNY", 1.2, "蒋丽华", "财务总监"),
    Company("嘉兴南湖食品有限公司", "retail", "east", "CNY", 0.6, "潘文斌", "总经理"),
    Company("温州瓯江鞋业有限公司", "retail", "east", "CNY", 0.5, "林小勇", "董事长"),
    Company("绍兴镜湖印染有限公司", "manufacturing", "east", "CNY", 0.8, "章建国", "厂长"),
    Company("扬州瘦西湖酒店管理有限公司", "services", "east", "CNY", 0.5, "许婷", "总经理"),
    Company("青岛海岸冷链有限公司", "logistics", "east", "CNY", 1.0, "孙海涛", "运营经理"),
    Company("济南泉城建材有限公司", "construction", "east", "CNY", 0.9, "韩立军", "采购总监"),
    Company("徐州淮海重工有限公司", "manufacturing", "east", "CNY", 1.9, "胡振华", "设备部长"),
    Company("台州恒远泵业有限公司", "manufacturing", "east", "CNY", 0.7, "王丹", "总经理"),
    Company("上海虹桥会展服务有限公司", "services", "east", "CNY", 0.6, "俞敏", "市场总监"),
    Company(
        "南通滨江船舶配套有限公司", "manufacturing", "east", "CNY", 1.3, "施卫东", "总工程师"
    ),
    Company("金华婺城家居有限公司", "retail", "east", "CNY", 0.6, "金晓峰", "总经理"),
    Company("湖州莫干山旅游发展有限公司", "services", "east", "CNY", 0.4, "费莉", "副总经理"),
    Company(
        "深圳前海智造科技有限公司", "electronics", "south", "CNY", 1.6, "陈伟强", "首席运营官"
    ),
    Company("广州珠江供应链有限公司", "logistics", "south", "CNY", 1.5, "梁美玲", "信息总监"),
    Company("东莞松山湖模具有限公司", "manufacturing", "south", "CNY", 0.9, "黄志成", "厂长"),
    Company("佛山南海陶瓷有限公司", "manufacturing", "south", "CNY", 1.0, "何锦辉", "董事长"),
    Company("珠海横琴跨境电商有限公司", "retail", "south", "CNY", 0.8, "谭子晴", "总经理"),
    Company("厦门鹭岛贸易有限公司", "retail", "south", "CNY", 0.7, "苏雅雯", "采购经理"),
    Company("福州闽江水产有限公司", "retail", "south", "CNY", 0.6, "郭建平", "总经理"),
    Company(
        "南宁绿城农业科技有限公司", "agriculture", "south", "CNY", 0.7, "韦东明", "技术总监"
    ),
    Company("海口椰风旅业有限公司", "services", "south", "CNY", 0.5, "符晓兰", "运营总监"),
    Company("惠州仲恺光电有限公司", "electronics", "south", "CNY", 1.2, "邓文杰", "生产经理"),
    Company("中山小榄五金有限公司", "manufacturing", "south", "CNY", 0.6, "冯伟文", "厂长"),
    Company("汕头潮阳玩具有限公司", "manufacturing", "south", "CNY", 0.5, "吴晓丹", "总经理"),
    Company(
        "长沙岳麓工程机械有限公司", "manufacturing", "south", "CNY", 1.8, "刘湘军", "副总裁"
    ),
    Company("武汉光谷激光有限公司", "electronics", "south", "CNY", 1.4, "张俊", "研发总监"),
    Company("成都锦江连锁药房有限公司", "healthcare", "south", "CNY", 1.1, "罗玉梅", "IT经理"),
    Company(
        "重庆两江汽车零部件有限公司", "manufacturing", "south", "CNY", 1.7, "蒲大伟", "采购部长"
    ),
    Company("昆明滇池花卉有限公司", "agriculture", "south", "CNY", 0.4, "杨艳", "总经理"),
    Company("贵阳云岩数据服务有限公司", "software", "south", "CNY", 1.0, "龙飞", "技术总监"),
    Company(
        "南昌赣江医药流通有限公司", "healthcare", "south", "CNY", 1.0, "熊志勇", "运营经理"
    ),
    Company("桂林漓江乳业有限公司", "retail", "south", "CNY", 0.6, "唐小燕", "财务经理"),
    Company("泉州晋江运动用品有限公司", "retail", "south", "CNY", 0.9, "许志鹏", "信息部经理"),
    Company("江门新会船务有限公司", "logistics", "south", "CNY", 0.7, "李健华", "总经理"),
    Company("北京朝阳传媒集团", "services", "east", "CNY", 1.2, "高翔", "首席信息官"),
    Company("天津滨海化工有限公司", "energy", "east", "CNY", 1.9, "穆长青", "安全总监"),
    Company(
        "西安秦岭航空配件有限公司", "manufacturing", "east", "CNY", 1.5, "白志刚", "质量总监"
    ),
    Company("沈阳浑南机器人有限公司", "electronics", "east", "CNY", 1.3, "佟瑞", "总经理"),
    Company("大连渤海港务有限公司", "logistics", "east", "CNY", 1.6, "曲波", "运营总监"),
    Company("郑州中原面业有限公司", "retail", "south", "CNY", 0.8, "宋红旗", "总经理"),
    Company(
        "Brightwater Logistics Inc.", "logistics", "south", "USD", 1.3, "Dana Whitfield", "COO"
    ),
    Company(
        "Cedar Ridge Components LLC",
        "manufacturing",
        "south",
        "USD",
        1.0,
        "Marcus Hale",
        "Buyer",
    ),
    Company("Harborline Foods Co.", "retail", "south", "USD", 0.9, "Elena Ruiz", "CFO"),
    Company("Summit Vale Health Group", "healthcare", "east", "USD", 1.6, "Priya Nair", "CIO"),
    Company("Pinecrest Robotics Ltd.", "electronics", "east", "USD", 1.4, "Tom Okafor", "CTO"),
    Company(
        "Nordhafen Maschinenbau GmbH",
        "manufacturing",
        "east",
        "EUR",
        1.5,
        "Jutta Brandt",
        "Einkauf",
    ),
    Company(
        "Atelier Lumière SARL", "retail", "east", "EUR", 0.6, "Claire Fontaine", "Directrice"
    ),
    Company(
        "Veloce Componenti S.p.A.", "manufacturing", "south", "EUR", 1.1, "Marco Bellini", "COO"
    ),
    Company(
        "Tulpenveld Agro B.V.", "agriculture", "south", "EUR", 0.7, "Sanne de Wit", "Manager"
    ),
    Company("Kaskelot Energi A/S", "energy", "east", "EUR", 1.2, "Lars Holm", "CFO"),
    Company(
        "新加坡星洲海运有限公司",
        "logistics",
        "south",
        "USD",
        1.2,
        "林嘉欣",
        "Operations Director",
    ),
    Company(
        "香港维港珠宝有限公司", "retail", "south", "USD", 0.8, "周颖琪", "Managing Director"
    ),
)

PRODUCTS: Final = (
    Product("ERP-CORE", "ERP 核心套件 / ERP core suite", Decimal(98_000)),
    Product("MES-LINE", "生产执行系统 / Shop-floor execution", Decimal(156_000)),
    Product("WMS-PRO", "仓储管理系统 / Warehouse management", Decimal(72_000)),
    Product("CRM-TEAM", "客户管理席位 / CRM seats (50)", Decimal(36_000)),
    Product("BI-BOARD", "经营看板 / Management dashboards", Decimal(48_000)),
    Product("IOT-GATE", "设备联网网关 / Machine gateways", Decimal(22_500)),
    Product("SVC-YEAR", "年度服务 / Yearly service", Decimal(18_000)),
)

NEEDS: Final = (
    ("inventory figures are two days old", "库存数据滞后两天"),
    ("three systems that do not talk to one another", "三套系统互不相通"),
    ("month-end closing takes nine days", "月结需要九天"),
    ("no traceability of batches", "批次无法追溯"),
    ("orders are typed in twice", "订单重复录入"),
    ("machines stand still unnoticed", "设备停机无人知晓"),
    ("quotes take a week", "报价需要一周"),
    ("customers complain about late deliveries", "客户抱怨交货延迟"),
)

OBJECTIONS: Final = (
    Doubt("price", "报价高于预算 / above the budget", "分期付款方案 / staged payment offered"),
    Doubt(
        "timing",
        "旺季前无法上线 / cannot go live before peak season",
        "分阶段上线计划 / phased plan",
    ),
    Doubt(
        "trust", "担心实施能力 / doubts about delivery", "安排同行业客户参观 / reference visit"
    ),
    Doubt(
        "fit",
        "缺少行业功能 / lacks functions of the trade",
        "演示定制模块 / custom module shown",
    ),
    Doubt(
        "risk",
        "担心数据迁移 / afraid of the data migration",
        "试迁移通过 / trial migration passed",
    ),
)

COMPETITORS: Final = ("Kingfisher ERP", "北辰软件", "Orion Suite", "云帆科技")

RATES: Final = {
    "USD": (Decimal("7.10"), Decimal("7.24"), Decimal("7.02"), Decimal("7.26"),
            Decimal("7.25"), Decimal("7.17"), Decimal("7.12"), Decimal("7.05"),
            Decimal("6.98"), Decimal("6.92")),
    "EUR": (Decimal("7.80"), Decimal("7.76"), Decimal("7.83"), Decimal("7.62"),
            Decimal("7.83"), Decimal("8.38"), Decimal("8.36"), Decimal("8.21"),
            Decimal("8.14"), Decimal("8.06")),
}  # fmt: skip
"""Invented CNY per unit at the start of each quarter from 2024 Q1 on."""

HOLIDAYS: Final = tuple(
    (date(*start), date(*end))
    for start, end in (
        ((2024, 1, 1), (2024, 1, 1)), ((2024, 2, 9), (2024, 2, 17)),
        ((2024, 5, 1), (2024, 5, 5)), ((2024, 10, 1), (2024, 10, 7)),
        ((2025, 1, 1), (2025, 1, 1)), ((2025, 1, 28), (2025, 2, 4)),
        ((2025, 5, 1), (2025, 5, 5)), ((2025, 10, 1), (2025, 10, 8)),
        ((2026, 1, 1), (2026, 1, 3)), ((2026, 2, 15), (2026, 2, 23)),
        ((2026, 5, 1), (2026, 5, 5)),
    )
)  # fmt: skip
"""Days nobody works, first and last: New Year, Spring Festival, May, National Day."""


# The simulated calendar: a clock that is turned, working hours, and what is due next.
#
# A *life* is a generator that does something, then yields the time at which it goes on. The
# agenda resumes all lives in order of time and turns the clock before each, so everything is
# recorded when it becomes known, as in a real office.

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2024, 1, 1, 8, tzinfo=ZONE)
END = datetime(2026, 6, 30, 23, 59, tzinfo=ZONE)
SATURDAY = 5
DAY = timedelta(days=1)
OFF = frozenset(
    first + timedelta(days=n)
    for first, last in HOLIDAYS
    for n in range((last - first).days + 1)
)

Life = Iterator[datetime]
"""What somebody goes through: each value is when it goes on."""


class TurnedClock:
    """A clock that shows what it was turned to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Show the time."""
        return self.now


class Agenda:
    """Everything that is still to come, in order of time."""

    def __init__(self, clock: TurnedClock) -> None:
        self._clock = clock
        self._due: list[tuple[datetime, int, Life]] = []
        self._begun = 0
        self.refused = 0
        """Lives that ended because a rule refused what they wanted to do."""

    def begin(self, life: Life, at: datetime) -> None:
        """Let a life begin at a time (now, when that has passed)."""
        self._begun += 1
        heapq.heappush(self._due, (max(at, self._clock.now), self._begun, life))

    def live(self, until: datetime, after_each: Callable[[datetime], None]) -> None:
        """Resume every life in order of time until nothing is due any more before the end."""
        while self._due and self._due[0][0] <= until:
            at, number, life = heapq.heappop(self._due)
            self._clock.now = at
            following = self._resume(life)
            if following is not None:
                heapq.heappush(self._due, (max(following, at), number, life))
            after_each(at)
        self._clock.now = until

    def _resume(self, life: Life) -> datetime | None:
        """Let a life go on to its next pause; None when it is over."""
        try:
            return next(life, None)
        except (DealClosedError, NotFoundError):
            return None  # somebody else closed, merged or withdrew the deal meanwhile
        except RuleError:
            self.refused += 1
            return None


def is_workday(day: date) -> bool:
    """Return whether people work that day."""
    return day.weekday() < SATURDAY and day not in OFF


def office_time(chance: Random, not_before: datetime) -> datetime:
    """Return a time in office hours, on the first working day not before another time."""
    local = not_before.astimezone(ZONE)
    day = local.date()
    opens = datetime.combine(day, time(9), ZONE)
    closes = datetime.combine(day, time(18, 30), ZONE)
    if is_workday(day) and local < closes:
        earliest = max(local, opens)
        return earliest + (closes - earliest) * chance.random() * 0.5
    day += DAY
    while not is_workday(day):
        day += DAY
    return datetime.combine(day, time(9), ZONE) + timedelta(
        seconds=chance.randrange(8 * 3600), microseconds=chance.randrange(1_000_000)
    )
