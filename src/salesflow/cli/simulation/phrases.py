"""What the people of the simulation say and write, in Chinese and English as it comes."""

from typing import Final

__all__ = [
    "ASKED",
    "CHANNELS",
    "CONTACT_NOTES",
    "HELP",
    "LEAD_SOURCES",
    "LOSS_NOTES",
    "MESSAGES",
    "NEXT_STEPS",
    "PRAISE",
    "SERVICES",
    "SOLUTIONS",
]

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
