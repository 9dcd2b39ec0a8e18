"""Plans and histories whose commissions were worked out by hand.

Each case says what happened, and the lines of statements in order, in the plan's currency; the
arithmetic stands beside it. `more` is what earlier statements are paid in difference, `payable`
what is paid out where a draw or a guarantee makes that another amount. Unless told otherwise
the plan is of the month and pays 5 % of what rep ann sells, at its closing.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import pytest

from questions.paying import (
    Step,
    amended,
    answered,
    corrected,
    disputed,
    fiscal_year,
    invoiced,
    issued,
    joined,
    late,
    left,
    lost,
    moved,
    owned,
    paid,
    payroll,
    plan,
    rates,
    refunded,
    reopened,
    repeated,
    retired,
    retracted,
    revised,
    split,
    unsaid,
    won,
)
from salesflow.domain.deal.billing import RefundGiven
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.people import CollaboratorJoined
from salesflow.domain.event import FactRetracted
from salesflow.domain.statement import DisputeAnswered, LineDisputed, StatementCorrected
from salesflow.projections.incentives import accrual, commission_book, issued_statements
from salesflow.projections.incentives.commission_book import AccrualKey, CommissionBook
from salesflow.projections.incentives.commission_reading import PlanSchedule
from salesflow.projections.scope import Teams

ONE_TIER = ({"starts_at": "100000", "rate": "0.08"},)
TWO_TIERS = (*ONE_TIER, {"starts_at": "200000", "rate": "0.1"})


class Paid(NamedTuple):
    """What a statement comes to."""

    period: str
    lines: str
    more: str = ""
    payable: str | None = None
    rep: str = "ann"


CASES: dict[str, tuple[list[Step], list[Paid]]] = {
    # Rates and tiers
    "a base rate pays its part of a sale": (
        [plan(), won(1, "03-10", "10000")],
        [Paid("2026-03", "500")],  # 10,000 x 5 %
    ),
    "a marginal tier pays its rate on what lies above it alone": (
        [plan(tiers=ONE_TIER), won(1, "03-10", "150000")],
        [Paid("2026-03", "9000")],  # 100,000 x 5 % + 50,000 x 8 % = 5,000 + 4,000
    ),
    "a marginal tier is crossed by the second sale": (
        [plan(tiers=ONE_TIER), won(1, "03-10", "80000"), won(2, "03-11", "60000")],
        [Paid("2026-03", "4000 4200")],  # 80,000 x 5 %; 20,000 x 5 % + 40,000 x 8 %
    ),
    "one sale crosses two marginal tiers": (
        [plan(tiers=TWO_TIERS), won(1, "03-10", "250000")],
        [Paid("2026-03", "18000")],  # 100,000 x 5 % + 100,000 x 8 % + 50,000 x 10 %
    ),
    "a marginal tier that is reached exactly pays from the next sale on": (
        [plan(tiers=ONE_TIER), won(1, "03-10", "100000"), won(2, "03-11", "1000")],
        [Paid("2026-03", "5000 80")],  # 100,000 x 5 %; 1,000 x 8 %
    ),
    "a marginal tier may pay less than the one before it": (
        [plan(tiers=({"starts_at": "100000", "rate": "0.02"},)), won(1, "03-10", "150000")],
        [Paid("2026-03", "6000")],  # 100,000 x 5 % + 50,000 x 2 %
    ),
    "a retroactive tier pays the rate that was reached on everything": (
        [
            plan(tiers=ONE_TIER, tiers_pay="retroactive"),
            won(1, "03-10", "80000"),
            won(2, "03-11", "40000"),
        ],
        [Paid("2026-03", "4000 5600")],  # 80,000 x 5 %; 120,000 x 8 % - 4,000
    ),
    "a retroactive tier is reached exactly": (
        [plan(tiers=ONE_TIER, tiers_pay="retroactive"), won(1, "03-10", "100000")],
        [Paid("2026-03", "8000")],  # 100,000 x 8 %
    ),
    "a retroactive tier is missed by a cent, and reached by it": (
        [
            plan(tiers=ONE_TIER, tiers_pay="retroactive"),
            won(1, "03-10", "99999.99"),
            won(2, "03-11", "0.01"),
        ],
        # 99,999.99 x 5 % = 4,999.9995, rounded 5,000.00; 100,000 x 8 % - 5,000
        [Paid("2026-03", "5000 3000")],
    ),
    "a retroactive tier is lost again by a refund": (
        [
            plan(tiers=ONE_TIER, tiers_pay="retroactive"),
            won(1, "03-10", "80000"),
            won(2, "03-11", "40000"),
            refunded(2, "03-20", "30000"),
        ],
        [Paid("2026-03", "4000 5600 -5100")],  # 90,000 x 5 % - 9,600
    ),
    "below a marginal threshold nothing is paid, above it what lies above": (
        [plan(threshold="50000"), won(1, "03-10", "40000"), won(2, "03-11", "30000")],
        [Paid("2026-03", "0 1000")],  # 0; (70,000 - 50,000) x 5 %
    ),
    "a retroactive threshold that is reached pays on everything": (
        [
            plan(threshold="50000", tiers_pay="retroactive"),
            won(1, "03-10", "40000"),
            won(2, "03-11", "30000"),
        ],
        [Paid("2026-03", "0 3500")],  # 0; 70,000 x 5 %
    ),
    "a threshold inside a tier hides it": (
        [plan(threshold="120000", tiers=ONE_TIER), won(1, "03-10", "150000")],
        [Paid("2026-03", "2400")],  # (150,000 - 120,000) x 8 %
    ),
    # Cap, accelerators, decelerators
    "a cap is the most that is paid, whatever is sold above it": (
        [
            plan(cap="6000"),
            won(1, "03-10", "100000"),
            won(2, "03-11", "50000"),
            won(3, "03-12", "10000"),
        ],
        [Paid("2026-03", "5000 1000 0")],  # 5,000; 7,500 cut to 6,000; nothing more
    ),
    "a refund above the cap takes nothing back, one through it the rest": (
        [
            plan(cap="6000"),
            won(1, "03-10", "150000"),
            refunded(1, "03-11", "20000"),
            refunded(1, "03-12", "20000"),
        ],
        # 7,500 cut to 6,000; 130,000 x 5 % = 6,500, still 6,000; 110,000 x 5 % = 5,500
        [Paid("2026-03", "6000 0 -500")],
    ),
    "a cap holds for each accrual anew": (
        [plan(cap="300"), won(1, "03-10", "10000"), won(2, "04-10", "10000")],
        [Paid("2026-03", "300"), Paid("2026-04", "300")],
    ),
    "an accelerator multiplies the rate of what lies above the quota": (
        [
            plan(quota="100000", accelerators=({"starts_at": "1", "factor": "1.5"},)),
            won(1, "03-10", "120000"),
        ],
        [Paid("2026-03", "6500")],  # 100,000 x 5 % + 20,000 x 5 % x 1.5
    ),
    "of two accelerators the higher one holds, not both": (
        [
            plan(
                quota="100000",
                accelerators=(
                    {"starts_at": "1", "factor": "1.5"},
                    {"starts_at": "1.2", "factor": "2"},
                ),
            ),
            won(1, "03-10", "130000"),
        ],
        [Paid("2026-03", "7500")],  # 100,000 x 5 % + 20,000 x 7.5 % + 10,000 x 10 %
    ),
    "a decelerator pays less below a part of the quota": (
        [
            plan(quota="100000", decelerators=({"ends_at": "0.5", "factor": "0.5"},)),
            won(1, "03-10", "80000"),
        ],
        [Paid("2026-03", "2750")],  # 50,000 x 5 % x 0.5 + 30,000 x 5 %
    ),
    "a retroactive accelerator multiplies everything once the quota is reached": (
        [
            plan(
                quota="100000",
                accelerators=({"starts_at": "1", "factor": "1.2"},),
                tiers_pay="retroactive",
            ),
            won(1, "03-10", "90000"),
            won(2, "03-11", "20000"),
        ],
        [Paid("2026-03", "4500 2100")],  # 4,500; 110,000 x 5 % x 1.2 - 4,500
    ),
    "an accelerator multiplies the rate of the tier that is reached": (
        [
            plan(
                tiers=ONE_TIER,
                quota="150000",
                accelerators=({"starts_at": "1", "factor": "1.5"},),
            ),
            won(1, "03-10", "200000"),
        ],
        # 100,000 x 5 % + 50,000 x 8 % + 50,000 x 8 % x 1.5 = 5,000 + 4,000 + 6,000
        [Paid("2026-03", "15000")],
    ),
    # Accruals
    "an accrual of the month begins anew with the next month": (
        [plan(tiers=ONE_TIER), won(1, "03-10", "150000"), won(2, "04-10", "10000")],
        [Paid("2026-03", "9000"), Paid("2026-04", "500")],
    ),
    "an accrual of the year goes on from month to month": (
        [
            plan(tiers=ONE_TIER, accrual="year_to_date"),
            won(1, "03-10", "90000"),
            won(2, "04-10", "20000"),
        ],
        # 90,000 x 5 %; 10,000 x 5 % + 10,000 x 8 %
        [Paid("2026-03", "4500"), Paid("2026-04", "1300")],
    ),
    "an accrual of the year falls below its tier by a cent in a later month": (
        [
            plan(tiers=ONE_TIER, tiers_pay="retroactive", accrual="year_to_date"),
            won(1, "01-10", "90000"),
            won(2, "02-10", "10000"),
            refunded(2, "03-05", "0.01"),
        ],
        # 90,000 x 5 %; 100,000 x 8 % - 4,500; 99,999.99 x 5 % = 5,000.00 - 8,000
        [Paid("2026-01", "4500"), Paid("2026-02", "3500"), Paid("2026-03", "-3000")],
    ),
    "a cap of the year is fallen below by a refund in a later month": (
        [
            plan(accrual="year_to_date", cap="6000"),
            won(1, "01-10", "150000"),
            won(2, "02-10", "20000"),
            refunded(2, "03-05", "20000"),
            refunded(1, "03-06", "40000"),
        ],
        # 7,500 cut to 6,000; nothing more; still 7,500; 110,000 x 5 % = 5,500
        [Paid("2026-01", "6000"), Paid("2026-02", "0"), Paid("2026-03", "0 -500")],
    ),
    "an accrual of the fiscal year begins anew in April where the year does": (
        [
            fiscal_year(4),
            plan(tiers=ONE_TIER, accrual="year_to_date"),
            won(1, "03-10", "100000"),
            won(2, "03-31", "10000"),
            won(3, "04-01", "10000"),
        ],
        [Paid("2026-03", "5000 800"), Paid("2026-04", "500")],
    ),
    "an accrual of the year begins anew with the next year": (
        [
            plan(tiers=ONE_TIER, accrual="year_to_date"),
            won(1, "12-10", "150000"),
            won(2, "2027-01-10", "10000"),
        ],
        [Paid("2026-12", "9000"), Paid("2027-01", "500")],
    ),
    "a plan of the quarter accrues and is settled by the quarter": (
        [
            plan(tiers=ONE_TIER, period="quarter"),
            won(1, "01-10", "90000"),
            won(2, "03-10", "20000"),
            won(3, "04-01", "20000"),
        ],
        # 4,500; 10,000 x 5 % + 10,000 x 8 %; a new quarter: 1,000
        [Paid("2026-01-01", "4500 1300"), Paid("2026-04-01", "1000")],
    ),
    "what was sold before the plan starts is not paid": (
        [plan("03-01"), late("03-02", won(1, "02-27", "10000")), won(2, "03-03", "10000")],
        [Paid("2026-03", "500"), Paid("2026-02", "")],
    ),
    "a retired plan pays to its last day": (
        [plan(), won(1, "03-15", "10000"), retired("03-15"), won(2, "03-16", "10000")],
        [Paid("2026-03", "500")],
    ),
    # Who is credited
    "the owner is credited with what collaborators leave over": (
        [plan(), won(1, "03-10", "10000", splits={"bob": "0.3"})],
        [Paid("2026-03", "350"), Paid("2026-03", "150", rep="bob")],
    ),
    "shares in one order": (
        [plan(), won(1, "03-10", "10000", splits={"bob": "0.2", "cat": "0.3"})],
        [
            Paid("2026-03", "250"),  # 10,000 x 50 % x 5 %
            Paid("2026-03", "100", rep="bob"),
            Paid("2026-03", "150", rep="cat"),
        ],
    ),
    "the same shares in the other order": (
        [plan(), won(1, "03-10", "10000", splits={"cat": "0.3", "bob": "0.2"})],
        [
            Paid("2026-03", "250"),
            Paid("2026-03", "100", rep="bob"),
            Paid("2026-03", "150", rep="cat"),
        ],
    ),
    "whoever is owner and has a share is credited with both": (
        [plan(), won(1, "03-10", "10000", splits={"ann": "0.2", "bob": "0.3"})],
        [Paid("2026-03", "350"), Paid("2026-03", "150", rep="bob")],  # 20 % + 50 %
    ),
    "each rep's tiers go by their own part": (
        [plan(tiers=ONE_TIER), won(1, "03-10", "180000", splits={"bob": "0.5"})],
        [Paid("2026-03", "4500"), Paid("2026-03", "4500", rep="bob")],  # 90,000 x 5 % each
    ),
    "a share that is changed after the payout changes nothing": (
        [
            plan(),
            won(1, "03-10", "10000", splits={"bob": "0.3"}),
            issued("04-01", "2026-03"),
            split(1, "04-05", "bob", "0.6"),
        ],
        [Paid("2026-03", "350"), Paid("2026-04", ""), Paid("2026-03", "150", rep="bob")],
    ),
    "a share that is changed in the window is taken back as it was": (
        [
            plan(),
            won(1, "03-10", "10000", splits={"bob": "0.3"}),
            split(1, "04-05", "bob", "0.6"),
            refunded(1, "04-10", "10000"),
        ],
        [
            Paid("2026-04", "-350"),
            Paid("2026-04", "-150", rep="bob"),
        ],
    ),
    "who owns it at the win is paid: handed over on the closing day before it": (
        [
            plan(),
            won(1, "03-10", "10000"),
            late("03-11", owned(1, "03-10", "bob", at="09:59")),
        ],
        [Paid("2026-03", ""), Paid("2026-03", "500", rep="bob")],
    ),
    "who owns it at the win is paid: handed over on the closing day after it": (
        [
            plan(),
            won(1, "03-10", "10000"),
            late("03-11", owned(1, "03-10", "bob", at="10:01")),
        ],
        [Paid("2026-03", "500"), Paid("2026-03", "", rep="bob")],
    ),
    "a repeat order is paid to whom the deal belongs by then": (
        [
            plan(),
            won(1, "03-10", "10000"),
            owned(1, "04-05", "bob"),
            repeated(1, "05-05", "2000"),
        ],
        [
            Paid("2026-03", "500"),
            Paid("2026-05", ""),
            Paid("2026-05", "100", rep="bob"),  # 2,000 x 5 %
        ],
    ),
    "a plan of a team pays who was in it at the win": (
        [
            plan(teams=("east",)),
            joined("01-05"),
            won(1, "03-10", "10000"),
            moved("03-15"),
            won(2, "03-20", "10000"),
        ],
        [Paid("2026-03", "500")],
    ),
    "a rep who leaves in mid-period is paid for what was won before": (
        [
            plan(teams=("east",), crediting="payment"),
            joined("01-05"),
            won(1, "03-10", "10000"),
            left("03-20"),
            paid(1, "03-25", "10000"),
        ],
        [Paid("2026-03", "500")],
    ),
    # What changes a sale afterwards
    "a refund on the last day of the window takes commission back": (
        [plan(clawback_days=30), won(1, "03-10", "10000"), refunded(1, "04-09", "4000")],
        [Paid("2026-03", "500"), Paid("2026-04", "-200")],  # 4,000 x 5 %
    ),
    "a refund on the day after the window takes nothing back": (
        [plan(clawback_days=30), won(1, "03-10", "10000"), refunded(1, "04-10", "4000")],
        [Paid("2026-03", "500"), Paid("2026-04", "")],
    ),
    "without a window a refund takes back at any time": (
        [plan(), won(1, "03-10", "10000"), refunded(1, "2027-03-10", "4000")],
        [Paid("2027-03", "-200")],
    ),
    "a refund in a later month lowers the accrual that paid for it": (
        [
            plan(tiers=ONE_TIER),
            won(1, "03-10", "150000"),
            won(2, "04-05", "10000"),
            refunded(1, "04-10", "60000"),
        ],
        # 9,000; April's own 10,000 x 5 %; March by 90,000: 4,500 - 9,000
        [Paid("2026-03", "9000"), Paid("2026-04", "500 -4500")],
    ),
    "a deal that is reopened is taken back": (
        [plan(), won(1, "03-10", "10000"), reopened(1, "04-05")],
        [Paid("2026-03", "500"), Paid("2026-04", "-500")],
    ),
    "a deal that is lost after its window stays paid": (
        [plan(clawback_days=10), won(1, "03-10", "10000"), lost(1, "04-05")],
        [Paid("2026-03", "500"), Paid("2026-04", "")],
    ),
    "won, reopened, and won again for more": (
        [
            plan(),
            won(1, "02-10", "100"),
            reopened(1, "02-20"),
            won(1, "04-10", "120", again=True),
        ],
        [Paid("2026-02", "5 -5"), Paid("2026-04", "6")],
    ),
    "a contract that is raised is credited when it is raised": (
        [plan(), won(1, "03-10", "10000"), amended(1, "04-05", "15000")],
        [Paid("2026-03", "500"), Paid("2026-04", "250")],
    ),
    "a contract that is lowered is taken back like a refund": (
        [plan(clawback_days=30), won(1, "03-10", "10000"), amended(1, "04-05", "7000")],
        [Paid("2026-04", "-150")],
    ),
    "a refund takes back what was credited last, as far as its window goes": (
        [
            plan(clawback_days=40),
            won(1, "03-10", "10000"),
            amended(1, "04-05", "15000"),
            refunded(1, "05-05", "8000"),
        ],
        # 5,000 of the 5th of April (30 days ago) x 5 %; not 3,000 of the 10th of March (56)
        [Paid("2026-04", "250"), Paid("2026-05", "-250")],
    ),
    "a refund takes back what was credited last, in the accrual that it is of": (
        [
            plan(tiers=ONE_TIER),
            won(1, "03-10", "10000"),
            won(2, "04-01", "100000"),
            amended(1, "04-05", "15000"),
            refunded(1, "05-05", "5000"),
        ],
        # April: 100,000 x 5 %, 5,000 x 8 %; that is taken back, not the 5 % of March
        [Paid("2026-04", "5000 400"), Paid("2026-05", "-400")],
    ),
    "a contract that is raised again after more was refunded than sold pays what stands": (
        [
            plan(),
            won(1, "01-10", "10000"),
            refunded(1, "02-01", "12000"),
            amended(1, "03-01", "20000"),
        ],
        # 500; all of it back; 20,000 - 12,000 stand: 8,000 x 5 %
        [Paid("2026-01", "500"), Paid("2026-02", "-500"), Paid("2026-03", "400")],
    ),
    "what a lost window left paid is not paid again": (
        [
            plan(clawback_days=10),
            won(1, "03-10", "10000"),
            amended(1, "04-05", "7000"),  # nothing is taken back
            amended(1, "04-06", "9000"),  # and nothing is paid for coming back
            amended(1, "04-07", "12000"),  # 2,000 above what was paid: 100
        ],
        [Paid("2026-03", "500"), Paid("2026-04", "100")],
    ),
    # Won once more
    "a deal that is won again is paid for what goes beyond what was kept of it": (
        [
            plan(clawback_days=10),
            won(1, "03-10", "10000"),
            reopened(1, "04-05"),  # 26 days: the 500 are kept
            won(1, "05-10", "12000", again=True),  # 12,000 - 10,000 = 2,000 x 5 %
        ],
        [Paid("2026-03", "500"), Paid("2026-04", ""), Paid("2026-05", "100")],
    ),
    "a deal that is won again for less than was kept is not paid again": (
        [
            plan(clawback_days=10),
            won(1, "03-10", "10000"),
            lost(1, "04-05"),
            reopened(1, "04-20"),
            won(1, "05-10", "8000", again=True),
        ],
        [Paid("2026-03", "500"), Paid("2026-04", ""), Paid("2026-05", "")],
    ),
    "a deal that is won three times is paid for the most it was ever won for": (
        [
            plan(clawback_days=10),
            won(1, "03-10", "10000"),
            reopened(1, "04-05"),
            won(1, "05-10", "12000", again=True),  # 2,000 x 5 %
            reopened(1, "06-05"),
            won(1, "07-10", "13000", again=True),  # 13,000 - 10,000 - 2,000 = 1,000 x 5 %
        ],
        [Paid("2026-05", "100"), Paid("2026-06", ""), Paid("2026-07", "50")],
    ),
    "of a win that was taken back in part the rest is paid again": (
        [
            plan(clawback_days=10),
            won(1, "03-10", "10000"),
            amended(1, "04-01", "15000"),
            reopened(1, "04-05"),  # the 5,000 of four days ago are taken back, 10,000 are kept
            won(1, "05-10", "12000", again=True),
        ],
        [Paid("2026-03", "500"), Paid("2026-04", "250 -250"), Paid("2026-05", "100")],
    ),
    "a refund of a second win takes back what was paid for it, and nothing of the first": (
        [
            plan(clawback_days=10),
            won(1, "03-10", "10000"),
            reopened(1, "04-05"),
            won(1, "05-10", "12000", again=True),
            refunded(1, "05-15", "3000"),  # 9,000 are left, less than the 10,000 kept
            amended(1, "05-16", "13000"),  # 10,000: nothing goes beyond what was kept
            amended(1, "05-17", "13500"),  # 10,500: 500 x 5 %
        ],
        [Paid("2026-05", "100 -100 25")],
    ),
    "by payments a deal that is won again is paid as more comes in than was kept": (
        [
            plan(crediting="payment", clawback_days=10),
            won(1, "03-10", "10000"),
            paid(1, "03-12", "10000"),
            reopened(1, "04-05"),
            won(1, "05-10", "12000", again=True),
            paid(1, "05-20", "2000"),
        ],
        [Paid("2026-03", "500"), Paid("2026-04", ""), Paid("2026-05", "100")],
    ),
    "a deal that somebody else wins again is paid to them, and kept by who won it first": (
        [
            plan(clawback_days=10),
            won(1, "03-10", "10000"),
            reopened(1, "04-05"),
            owned(1, "05-09", "bob"),
            won(1, "05-10", "12000", again=True),
        ],
        [
            Paid("2026-03", "500"),
            Paid("2026-05", ""),
            Paid("2026-05", "600", rep="bob"),
        ],
    ),
    "of a second win that is shared out one's own part is compared": (
        [
            plan(clawback_days=10),
            won(1, "03-10", "10000"),
            reopened(1, "04-05"),
            split(1, "05-10", "bob", "0.4"),
            won(1, "05-10", "20000", again=True),  # ann 60 %: 12,000 - 10,000 = 2,000 x 5 %
        ],
        [Paid("2026-05", "100"), Paid("2026-05", "400", rep="bob")],
    ),
    "a second win in another currency goes beyond the first at the rate of its day": (
        [
            rates("01-01", CNY="8"),
            plan(clawback_days=10),
            won(1, "03-10", "8000"),
            reopened(1, "04-05"),
            won(1, "05-10", "1500", currency="USD", again=True),  # 500 USD = 4,000 CNY x 5 %
        ],
        [Paid("2026-03", "400"), Paid("2026-05", "200")],
    ),
    "a SPIFF bonus that was kept is not paid with the second win": (
        [
            plan(
                clawback_days=10,
                spiffs=({"key": "spring", "bonus": "200"},),
            ),
            won(1, "03-10", "10000"),
            reopened(1, "04-05"),
            won(1, "05-10", "12000", again=True),
        ],
        [Paid("2026-03", "700"), Paid("2026-05", "100")],
    ),
    "a SPIFF bonus that was kept is not paid with what an amendment restores": (
        [
            plan(
                clawback_days=30,
                spiffs=({"key": "spring", "bonus": "500"},),
            ),
            won(1, "01-06", "10000"),  # 500, and the bonus
            reopened(1, "03-06"),  # 59 days: both are kept
            won(1, "03-10", "12000", again=True),  # 12,000 - 10,000 = 2,000 x 5 %
            amended(1, "03-12", "10000"),
            amended(1, "03-14", "12000"),
        ],
        [Paid("2026-01", "1000"), Paid("2026-03", "100 -100 100")],
    ),
    "a contract that is lowered and raised again pays what it paid": (
        [
            plan(tiers=ONE_TIER),
            won(1, "01-10", "150000"),
            amended(1, "02-10", "100000"),
            amended(1, "03-10", "150000"),
            amended(1, "04-10", "160000"),
        ],
        [
            Paid("2026-01", "9000"),  # 100,000 x 5 % + 50,000 x 8 %
            Paid("2026-02", "-4000"),  # 50,000 x 8 %
            Paid("2026-03", "4000"),  # which count in January again
            Paid("2026-04", "500"),  # what lies above is sold in April: 10,000 x 5 %
        ],
    ),
    "what cuts took is restored in parts, the last cut first": (
        [
            plan(tiers=ONE_TIER),
            won(1, "01-10", "100000"),
            amended(1, "02-10", "120000"),  # 20,000 x 5 % in February
            won(2, "02-20", "90000"),  # 80,000 x 5 % and 10,000 x 8 %
            amended(1, "03-10", "90000"),  # 20,000 of February, then 10,000 of January
            amended(1, "04-10", "110000"),  # 10,000 of January, then 10,000 of February
        ],
        [
            Paid("2026-02", "1000 4800"),
            Paid("2026-03", "-1300 -500"),  # February is 90,000: -10,000 x 8 %, -10,000 x 5 %
            Paid("2026-04", "500 500"),
        ],
    ),
    "what a refund took is not restored by a contract that is raised": (
        [
            plan(tiers=ONE_TIER),
            won(1, "01-10", "150000"),
            refunded(1, "02-10", "50000"),
            amended(1, "03-10", "200000"),
        ],
        [Paid("2026-02", "-4000"), Paid("2026-03", "2500")],  # 50,000 x 5 %, sold in March
    ),
    "a contract that is put into another currency and back pays what it paid": (
        [
            plan(tiers=ONE_TIER),
            rates("01-01", CNY="7"),
            won(1, "01-10", "150000"),
            amended(1, "02-10", "10000", "USD"),
            amended(1, "03-10", "150000"),
        ],
        # February: 70,000 x 5 % are sold; March: those are taken back, and January stands
        [Paid("2026-02", "-9000 3500"), Paid("2026-03", "-3500 9000")],
    ),
    # When it is credited
    "by payments a sale is credited as they come in": (
        [
            plan(crediting="payment"),
            won(1, "03-10", "10000"),
            paid(1, "04-05", "4000"),
            paid(1, "05-05", "6000"),
        ],
        [Paid("2026-03", ""), Paid("2026-04", "200"), Paid("2026-05", "300")],
    ),
    "what is paid beyond the sale is not credited": (
        [plan(crediting="payment"), won(1, "03-10", "10000"), paid(1, "04-05", "12000")],
        [Paid("2026-04", "500")],
    ),
    "a refund of what was paid is taken back": (
        [
            plan(crediting="payment"),
            won(1, "03-10", "10000"),
            paid(1, "04-05", "10000"),
            refunded(1, "05-05", "3000"),
        ],
        [Paid("2026-04", "500"), Paid("2026-05", "-150")],
    ),
    "a payment that came in twice and goes back takes nothing back": (
        [
            plan(),
            won(1, "03-10", "100000"),
            paid(1, "03-20", "100000"),
            paid(1, "03-21", "100000"),
            refunded(1, "04-05", "100000", overpaid=True),
        ],
        [Paid("2026-03", "5000"), Paid("2026-04", "")],
    ),
    "by payments too, one that came in twice and goes back takes nothing back": (
        [
            plan(crediting="payment"),
            won(1, "03-10", "100000"),
            paid(1, "03-20", "100000"),
            paid(1, "03-21", "100000"),
            refunded(1, "04-05", "100000", overpaid=True),
            amended(1, "05-05", "120000"),  # of which nothing more has come in
        ],
        [Paid("2026-03", "5000"), Paid("2026-04", ""), Paid("2026-05", "")],
    ),
    "of a refund in two parts the one of the sale is taken back": (
        [
            plan(),
            won(1, "03-10", "10000"),
            paid(1, "03-20", "12000"),
            refunded(1, "04-05", "2000", overpaid=True),
            refunded(1, "04-06", "1000"),
        ],
        [Paid("2026-04", "-50")],  # 1,000 x 5 %
    ),
    "by payments a refund of the sale takes back, whatever came in beyond it": (
        [
            plan(crediting="payment"),
            won(1, "03-10", "10000"),
            paid(1, "03-20", "11300"),  # with taxes
            refunded(1, "04-05", "1130"),
        ],
        [Paid("2026-03", "500"), Paid("2026-04", "-56.5")],
    ),
    "by invoices an overpayment that goes back takes nothing back": (
        [
            plan(crediting="invoice"),
            won(1, "03-10", "10000"),
            invoiced(1, "03-15", "10000"),
            paid(1, "03-20", "12000"),
            refunded(1, "04-05", "2000", overpaid=True),
        ],
        [Paid("2026-03", "500"), Paid("2026-04", "")],
    ),
    "money of a contract that was cut goes back without a second loss": (
        [
            plan(),
            won(1, "03-10", "10000"),
            paid(1, "03-20", "10000"),
            amended(1, "04-05", "6000"),
            refunded(1, "04-06", "4000", overpaid=True),
        ],
        [Paid("2026-04", "-200")],
    ),
    "a refund that turns out to be of an overpayment gives back what it took": (
        [
            plan(),
            won(1, "03-10", "10000"),
            paid(1, "03-20", "10000"),
            refunded(1, "03-25", "10000"),
            issued("04-01", "2026-03"),
            retracted(1, "04-05", RefundGiven),
            late("04-05", paid(1, "03-21", "10000")),
            late("04-05", refunded(1, "03-25", "10000", overpaid=True)),
        ],
        [Paid("2026-03", "500"), Paid("2026-04", "", "500")],
    ),
    "the window of a payment begins with it": (
        [
            plan(crediting="payment", clawback_days=30),
            won(1, "01-10", "10000"),
            paid(1, "04-05", "10000"),
            refunded(1, "05-05", "3000"),
        ],
        [Paid("2026-05", "-150")],
    ),
    "by invoices a sale is credited when it is billed": (
        [
            plan(crediting="invoice"),
            won(1, "03-10", "10000"),
            invoiced(1, "04-05", "10000"),
            paid(1, "05-05", "10000"),
        ],
        [Paid("2026-03", ""), Paid("2026-04", "500"), Paid("2026-05", "")],
    ),
    "whoever owns it at the win is credited with a payment": (
        [
            plan(crediting="payment"),
            won(1, "03-10", "10000"),
            owned(1, "03-20", "bob"),
            paid(1, "04-05", "10000"),
        ],
        [Paid("2026-04", "500"), Paid("2026-04", "", rep="bob")],
    ),
    # Versions of a plan
    "the version in force at the crediting date pays": (
        [
            plan(crediting="payment"),
            won(1, "03-10", "10000"),
            revised("04-01", crediting="payment", rate="0.08"),
            paid(1, "04-05", "10000"),
        ],
        [Paid("2026-04", "800")],  # 10,000 x 8 %
    ),
    "a plan that is revised in mid-period opens a new accrual": (
        [
            plan(tiers=ONE_TIER),
            won(1, "03-05", "80000"),
            revised("03-16", tiers=ONE_TIER),
            won(2, "03-20", "80000"),
        ],
        [Paid("2026-03", "4000 4000")],  # 80,000 x 5 %, twice
    ),
    "a plan that is revised in mid-period goes on where it says so": (
        [
            plan(tiers=ONE_TIER),
            won(1, "03-05", "80000"),
            revised("03-16", tiers=ONE_TIER, continues=True),
            won(2, "03-20", "80000"),
        ],
        [Paid("2026-03", "4000 5800")],  # 20,000 x 5 % + 60,000 x 8 %
    ),
    "what was earned by the old rate stays when a plan goes on with another": (
        [
            plan(),
            won(1, "03-05", "50000"),
            revised("03-16", rate="0.06", continues=True),
            won(2, "03-20", "50000"),
        ],
        [Paid("2026-03", "2500 3000")],  # 50,000 x 5 %; 50,000 x 6 %
    ),
    "a version that goes on with a higher cap pays up to it in all": (
        [
            plan(cap="3000", accrual="year_to_date"),
            won(1, "01-10", "100000"),
            revised("02-01", cap="5000", accrual="year_to_date", continues=True),
            won(2, "02-10", "100000"),
        ],
        [Paid("2026-01", "3000"), Paid("2026-02", "2000")],
    ),
    "a version that goes on with a lower cap keeps what was paid": (
        [
            plan(cap="3000", accrual="year_to_date"),
            won(1, "01-10", "100000"),
            revised("02-01", cap="2000", accrual="year_to_date", continues=True),
            won(2, "02-10", "100000"),
            refunded(2, "02-11", "100000"),
        ],
        [Paid("2026-01", "3000"), Paid("2026-02", "0 0")],
    ),
    "a version that goes on without the threshold leaves what lay below it unpaid": (
        [
            plan(threshold="50000", accrual="year_to_date"),
            won(1, "01-10", "40000"),
            revised("02-01", accrual="year_to_date", continues=True),
            won(2, "02-10", "10000"),
        ],
        [Paid("2026-01", "0"), Paid("2026-02", "500")],  # 50,000 x 5 % - 40,000 x 5 %
    ),
    "what was sold under the old version is taken back by its rate": (
        [
            plan(),
            won(1, "03-05", "50000"),
            revised("03-16", rate="0.06"),
            refunded(1, "03-20", "10000"),
        ],
        [Paid("2026-03", "2500 -500")],  # 10,000 x 5 %
    ),
    # Currencies and cents
    "another currency is credited at the rate of the crediting date": (
        [
            plan(),
            rates("03-01", CNY="7"),
            won(1, "03-10", "1000", currency="USD"),
            rates("03-15", CNY="8"),
            refunded(1, "03-20", "500", "USD"),
        ],
        # 1,000 x 7 x 5 %; taken back at the rate at which it was credited: 500 x 7 x 5 %
        [Paid("2026-03", "350 -175")],
    ),
    "tiers go by the plan's currency, whatever was sold in": (
        [
            plan(tiers=ONE_TIER),
            rates("03-01", CNY="7"),
            won(1, "03-10", "90000"),
            won(2, "03-11", "2000", currency="USD"),
        ],
        [Paid("2026-03", "4500 820")],  # 10,000 x 5 % + 4,000 x 8 %
    ),
    "without a rate nothing is credited": (
        [plan(), won(1, "03-10", "1000", currency="USD"), rates("03-11", CNY="7")],
        [Paid("2026-03", "")],
    ),
    "a contract that is put into another currency pays the difference": (
        [
            plan(clawback_days=0),
            rates("03-01", CNY="7"),
            won(1, "03-10", "10000"),
            amended(1, "03-20", "2000", "USD"),
        ],
        [Paid("2026-03", "500 200")],  # 14,000 x 5 % - 10,000 x 5 %
    ),
    "a refund in another currency takes back by the rate of its day": (
        [
            plan(),
            rates("03-01", CNY="7"),
            won(1, "03-10", "10000"),
            refunded(1, "03-20", "1000", "USD"),
        ],
        [Paid("2026-03", "500 -350")],  # 7,000 x 5 %
    ),
    "cents are rounded half to even, once for all that accrued": (
        [
            plan(),
            won(1, "03-10", "0.10"),  # 0.005 in all: 0.00
            won(2, "03-11", "0.10"),  # 0.010: 0.01
            won(3, "03-12", "0.10"),  # 0.015: 0.02
            won(4, "03-13", "0.10"),  # 0.020: 0.02
            won(5, "03-14", "0.10"),  # 0.025: 0.02
        ],
        [Paid("2026-03", "0 0.01 0.01 0 0")],
    ),
    "a currency without cents is rounded to whole units": (
        [
            plan(currency="JPY"),
            won(1, "03-10", "1010", currency="JPY"),  # 50.5: 50
            won(2, "03-11", "1010", currency="JPY"),  # 101: 51 more
        ],
        [Paid("2026-03", "50 51")],
    ),
    # Draw and guarantee
    "a draw is advanced, and recovered from what is earned above it": (
        [
            plan(draw="1000"),
            won(1, "01-10", "8000"),
            won(2, "02-10", "26000"),
            won(3, "03-10", "40000"),
        ],
        [
            Paid("2026-01", "400", payable="1000"),  # 600 advanced
            Paid("2026-02", "1300", payable="1000"),  # 300 recovered, 300 left
            Paid("2026-03", "2000", payable="1700"),  # 300 recovered
            Paid("2026-04", "", payable="1000"),  # nothing sold: 1,000 advanced
        ],
    ),
    "a guarantee adds what is missing, and is never recovered": (
        [plan(guarantee="1000"), won(1, "01-10", "8000"), won(2, "02-10", "26000")],
        [
            Paid("2026-01", "400", payable="1000"),
            Paid("2026-02", "1300", payable="1300"),
        ],
    ),
    "a guarantee does not swallow what its period takes back of earlier ones": (
        [
            plan(period="quarter", guarantee="9000", clawback_days=100),
            won(1, "03-30", "160000.80"),
            reopened(1, "07-05"),
        ],
        [
            Paid("2026-01", "8000.04", payable="9000"),
            Paid("2026-04", "", payable="9000"),
            Paid("2026-07", "-8000.04", payable="999.96"),  # 9,000 beside -8,000.04
        ],
    ),
    "a guarantee swallows what its period takes back of its own sales alone": (
        [
            plan(guarantee="1000", crediting="payment"),
            won(1, "01-10", "50000"),
            paid(1, "01-11", "20000"),
            paid(1, "02-11", "30000"),
            refunded(1, "02-20", "35000"),  # 30,000 of February, 5,000 of January
        ],
        # February itself: 1,500 - 1,500, so 1,000 are guaranteed; beside it -250
        [
            Paid("2026-01", "1000", payable="1000"),
            Paid("2026-02", "1500 -1500 -250", payable="750"),
        ],
    ),
    "what is taken back of an earlier month is told from its own over a year too": (
        [
            plan(guarantee="1000", accrual="year_to_date", tiers=ONE_TIER),
            won(1, "01-10", "100000"),
            won(2, "02-10", "10000"),
            amended(1, "02-20", "95000"),  # 5,000 less at the 8 % of the top tier
            amended(1, "03-01", "100000"),
        ],
        [
            Paid("2026-01", "5000", payable="5000"),
            Paid("2026-02", "800 -400", payable="600"),  # 1,000 for 800, beside it -400
            Paid("2026-03", "400", payable="1400"),  # 1,000 for 0, beside it 400
        ],
    ),
    "a guarantee comes before a draw, which advances the rest": (
        [
            plan(draw="1000", guarantee="500"),
            won(1, "01-10", "6000"),
            won(2, "02-10", "30000"),
        ],
        [
            Paid("2026-01", "300", payable="1000"),  # 200 guaranteed, 500 advanced
            Paid("2026-02", "1500", payable="1000"),  # 500 recovered
        ],
    ),
    "what is taken back is advanced by the draw, and recovered": (
        [
            plan(draw="1000"),
            won(1, "01-10", "40000"),
            refunded(1, "02-10", "40000"),
            won(2, "03-10", "100000"),
        ],
        [
            Paid("2026-01", "2000"),
            Paid("2026-02", "-2000", payable="1000"),  # 3,000 advanced
            Paid("2026-03", "5000", payable="2000"),  # 3,000 recovered
        ],
    ),
    "a draw is recovered from what comes in after the rep has left": (
        [
            plan(draw="3100", crediting="payment"),
            joined("01-01"),
            won(1, "01-05", "100000"),
            left("02-01"),
            paid(1, "03-10", "40000"),
            paid(1, "04-10", "60000"),
        ],
        [
            Paid("2026-01", "", payable="3100"),
            Paid("2026-02", "", payable="0"),
            Paid("2026-03", "2000", payable="0"),  # 1,100 left
            Paid("2026-04", "3000", payable="1900"),
        ],
    ),
    "a draw is recovered once, in whatever order statements are issued": (
        [
            plan(draw="1000"),
            joined("01-01"),
            issued("02-01", "2026-01"),
            issued("04-01", "2026-03"),
            late("04-05", won(1, "02-10", "60000")),
            issued("04-06", "2026-02"),
            won(2, "04-10", "100000"),
        ],
        [
            Paid("2026-01", "", payable="1000"),
            Paid("2026-02", "3000", payable="2000"),  # recovers the 1,000 of January
            Paid("2026-03", "", payable="1000"),
            Paid("2026-04", "5000", payable="4000"),  # recovers the 1,000 of March
        ],
    ),
    "a draw is due for the days on which the rep was there": (
        [plan(draw="3100"), joined("01-05"), left("03-11")],
        [
            Paid("2026-01", "", payable="2700"),  # 27 of 31 days x 3,100
            Paid("2026-03", "", payable="1000"),  # 10 of 31 days
            Paid("2026-04", "", payable="0"),
        ],
    ),
    # SPIFFs
    "a SPIFF rate pays in its window": (
        [
            plan(
                spiffs=(
                    {
                        "key": "spring",
                        "rate": "0.02",
                        "first_day": "2026-03-01",
                        "last_day": "2026-03-15",
                    },
                )
            ),
            won(1, "03-15", "10000"),
            won(2, "03-16", "10000"),
        ],
        [Paid("2026-03", "700 500")],  # 10,000 x 5 % + 10,000 x 2 %; 10,000 x 5 %
    ),
    "a SPIFF bonus for a product is shared like the sale": (
        [
            plan(spiffs=({"key": "new line", "bonus": "200", "product": "MES"},)),
            won(1, "03-10", "10000", splits={"bob": "0.25"}, products={"MES": "10000"}),
            won(2, "03-11", "10000", products={"BI": "10000"}),
        ],
        # 7,500 x 5 % + 200 x 75 %; 10,000 x 5 %
        [Paid("2026-03", "525 500"), Paid("2026-03", "175", rep="bob")],
    ),
    "a SPIFF rate for a product pays on its part of the sale": (
        [
            plan(spiffs=({"key": "new line", "rate": "0.1", "product": "MES"},)),
            won(1, "03-10", "10000", products={"MES": "4000", "BI": "6000"}),
        ],
        [Paid("2026-03", "900")],  # 10,000 x 5 % + 4,000 x 10 %
    ),
    "a SPIFF for new customers pays for the first sale of each": (
        [
            plan(spiffs=({"key": "new logo", "bonus": "300", "customers": "new"},)),
            won(1, "03-10", "10000", customer=7),
            won(2, "03-11", "10000", customer=7),
            won(3, "03-12", "10000", customer=8),
            won(4, "03-13", "10000"),
        ],
        [Paid("2026-03", "800 500 800 500")],
    ),
    "a SPIFF bonus is taken back with the whole sale, not with a part": (
        [
            plan(spiffs=({"key": "all", "bonus": "200"},)),
            won(1, "03-10", "10000"),
            refunded(1, "03-11", "4000"),
            refunded(1, "03-12", "6000"),
        ],
        [Paid("2026-03", "700 -200 -500")],  # 500 + 200; 4,000 x 5 %; 6,000 x 5 % + 200
    ),
    "a SPIFF bonus that was taken back is paid again when the sale stands again": (
        [
            plan(spiffs=({"key": "all", "bonus": "200"},)),
            won(1, "03-10", "10000"),
            amended(1, "03-11", "0"),
            amended(1, "03-12", "10000"),
            amended(1, "03-13", "12000"),
        ],
        # 10,000 x 5 % + 200, all of it back, all of it again; 2,000 x 5 %
        [Paid("2026-03", "700 -700 700 100")],
    ),
    "a SPIFF bonus is paid again when a payment that was given back comes in": (
        [
            plan(crediting="payment", spiffs=({"key": "all", "bonus": "200"},)),
            won(1, "03-10", "10000"),
            paid(1, "03-11", "4000"),
            refunded(1, "03-12", "4000"),
            paid(1, "03-13", "4000"),
        ],
        [Paid("2026-03", "400 -400 400")],  # 4,000 x 5 % + 200
    ),
    "a SPIFF bonus stays when a contract is amended into another currency": (
        [
            plan(spiffs=({"key": "all", "bonus": "200"},)),
            rates("03-01", CNY="7"),
            won(1, "03-10", "1000", currency="USD"),
            amended(1, "03-11", "7000"),
            won(2, "03-12", "7000"),
            amended(2, "03-13", "1000", currency="USD"),
        ],
        [Paid("2026-03", "550 550")],  # 7,000 x 5 % + 200; what is exchanged changes nothing
    ),
    "no cap touches a SPIFF": (
        [plan(cap="300", spiffs=({"key": "all", "bonus": "200"},)), won(1, "03-10", "10000")],
        [Paid("2026-03", "500")],  # 300 + 200
    ),
    # What is known after the statement
    "a sale that becomes known after the statement is paid with the next": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            late("04-05", won(2, "03-20", "20000")),
        ],
        [Paid("2026-04", "", "1000")],
    ),
    "an earlier sale that becomes known late moves the tiers of later ones": (
        [
            plan(tiers=ONE_TIER),
            won(1, "03-20", "80000"),
            issued("04-01", "2026-03"),
            late("04-05", won(2, "03-10", "40000")),
        ],
        # now: 40,000 x 5 % = 2,000; 60,000 x 5 % + 20,000 x 8 % = 4,600 for 4,000
        [Paid("2026-04", "", "2000 600")],
    ),
    "a win that is retracted after the statement is taken back with the next": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            retracted(1, "04-05", DealWon),
        ],
        [Paid("2026-03", ""), Paid("2026-04", "", "-500")],
    ),
    "a share that becomes known late is taken back from the owner": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            late("04-05", split(1, "03-10", "bob", "0.3")),
        ],
        [Paid("2026-04", "", "-150"), Paid("2026-03", "150", rep="bob")],
    ),
    "a share that is retracted after the payout goes back to the owner": (
        [
            plan(),
            won(1, "03-10", "10000", splits={"bob": "0.3"}),
            issued("04-01", "2026-03"),
            issued("04-01", "2026-03", "bob"),
            retracted(1, "04-05", CollaboratorJoined),
        ],
        [Paid("2026-04", "", "150"), Paid("2026-04", "", "-150", rep="bob")],
    ),
    "a difference is paid once": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            late("04-05", won(2, "03-20", "20000")),
            issued("05-01", "2026-04"),
        ],
        [Paid("2026-04", "", "1000"), Paid("2026-05", "")],
    ),
    "a difference is paid with the next statement, however many periods later": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            late("04-05", won(2, "03-20", "20000")),  # April and May have no statement
        ],
        [Paid("2026-05", "", "1000"), Paid("2026-06", "", "1000"), Paid("2027-02", "", "1000")],
    ),
    "a difference that was paid after a gap is paid once": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            late("04-05", won(2, "03-20", "20000")),
            issued("07-01", "2026-06"),
        ],
        [
            Paid("2026-06", "", "1000"),
            Paid("2026-04", ""),  # which was skipped, and may be issued still
            Paid("2026-07", ""),
        ],
    ),
    "a correction is paid after a gap too, with what else is owed by then": (
        [
            plan(),
            won(1, "02-10", "10000"),
            issued("03-01", "2026-02"),
            won(2, "03-10", "10000"),
            issued("04-01", "2026-03"),
            corrected("04-02", "2026-02", "-200"),
            disputed("04-03", "2026-03", 1),
            answered("04-04", "2026-03", 1, "accepted", "120"),
            issued("09-01", "2026-08"),
        ],
        [Paid("2026-08", "", "-200 120"), Paid("2026-09", "")],
    ),
    "a draw that was skipped is no reason to pay a difference twice": (
        [
            plan(draw="1000"),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),  # 500 earned, 500 advanced
            late("04-05", won(2, "03-20", "24000")),  # 1,200 more
        ],
        # April, without sales, advances 1,000; May has 1,200: 200 above the draw of 1,500
        [Paid("2026-05", "", "1200", payable="1000")],
    ),
    "a late fact after two statements is a difference of the first, paid with the third": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            won(2, "04-10", "10000"),
            issued("05-01", "2026-04"),
            late("05-05", won(3, "03-20", "20000")),
        ],
        [Paid("2026-04", "500"), Paid("2026-05", "", "1000")],
    ),
    "a difference that is taken back later is taken back": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            late("04-05", won(2, "03-20", "20000")),
            issued("05-01", "2026-04"),
            retracted(2, "05-05", DealWon),
        ],
        [Paid("2026-05", "", "-1000")],
    ),
    "differences count for the draw of the statement that pays them": (
        [
            plan(draw="1000"),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),  # 500 earned, 500 advanced
            late("04-05", won(2, "03-20", "24000")),  # 1,200 more
        ],
        # 1,200 earned: 200 above the draw are recovered of 500
        [Paid("2026-04", "", "1200", payable="1000")],
    ),
    "a guarantee does not swallow what is paid late": (
        [
            plan(guarantee="1000"),
            won(1, "03-10", "10000"),  # 500, and 500 of the guarantee
            issued("04-01", "2026-03"),
            late("04-05", won(2, "03-20", "20000")),
        ],
        # March is 1,500 by now: 500 more than was paid; April's own guarantee is 1,000
        [Paid("2026-03", "500 1000"), Paid("2026-04", "", "1000 -500", payable="1500")],
    ),
    "a guarantee does not swallow what is taken back late": (
        [
            plan(guarantee="1000"),
            won(1, "03-10", "40000"),
            issued("04-01", "2026-03"),  # 2,000
            late("04-05", refunded(1, "03-20", "40000")),
        ],
        # March is 1,000 by now, the guarantee: 1,000 less; April's own is 1,000
        [
            Paid("2026-03", "2000 -2000", payable="1000"),
            Paid("2026-04", "", "-2000 1000", payable="0"),
        ],
    ),
    # Disputes and corrections
    "a guarantee does not swallow what is agreed on a dispute": (
        [
            plan(guarantee="1000"),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            disputed("04-02", "2026-03", 1),
            answered("04-03", "2026-03", 1, "accepted", "120"),
        ],
        [Paid("2026-04", "", "120", payable="1120")],
    ),
    "what is agreed on a dispute is paid with the next statement": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            disputed("04-02", "2026-03", 1),
            answered("04-03", "2026-03", 1, "accepted", "120"),
        ],
        [Paid("2026-03", "500"), Paid("2026-04", "", "120")],
    ),
    "what is agreed after the payout is paid once": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            disputed("04-02", "2026-03", 1),
            answered("04-03", "2026-03", 1, "accepted", "120"),
            issued("05-01", "2026-04"),
        ],
        [Paid("2026-04", "", "120"), Paid("2026-05", "")],
    ),
    "a dispute that is rejected pays nothing": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            disputed("04-02", "2026-03", 1),
            answered("04-03", "2026-03", 1, "rejected"),
        ],
        [Paid("2026-04", "")],
    ),
    "a dispute that puts the facts right pays what follows from them": (
        [
            plan(),
            won(1, "03-10", "10000", splits={"bob": "0.3"}),
            issued("04-01", "2026-03"),
            disputed("04-02", "2026-03", 1),
            retracted(1, "04-03", CollaboratorJoined),
            answered("04-03", "2026-03", 1, "accepted", "0"),
        ],
        [Paid("2026-04", "", "150")],
    ),
    "a correction by hand is paid with the next statement": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            corrected("04-02", "2026-03", "-75"),
        ],
        [Paid("2026-04", "", "-75")],
    ),
    "a correction that is retracted before the payout is not paid": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            corrected("04-02", "2026-03", "-75"),
            unsaid("04-03", "2026-03", StatementCorrected),
        ],
        [Paid("2026-04", "")],
    ),
    "a correction that is retracted after the payout is given back": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            corrected("04-02", "2026-03", "-75"),
            issued("05-01", "2026-04"),
            unsaid("05-02", "2026-03", StatementCorrected),
        ],
        [Paid("2026-03", "500"), Paid("2026-04", "", "-75"), Paid("2026-05", "", "75")],
    ),
    "what was given back of a correction is taken again when that is retracted": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            corrected("04-02", "2026-03", "-75"),
            issued("05-01", "2026-04"),
            unsaid("05-02", "2026-03", StatementCorrected),
            issued("06-01", "2026-05"),
            unsaid("06-02", "2026-03", FactRetracted),
        ],
        [Paid("2026-05", "", "75"), Paid("2026-06", "", "-75")],
    ),
    "an answer to a dispute that is retracted after the payout is taken back": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            disputed("04-02", "2026-03", 1),
            answered("04-03", "2026-03", 1, "accepted", "120"),
            issued("05-01", "2026-04"),
            unsaid("05-02", "2026-03", DisputeAnswered),
            answered("05-03", "2026-03", 1, "accepted", "90"),
        ],
        [Paid("2026-04", "", "120"), Paid("2026-05", "", "90 -120")],
    ),
    "an answer falls with the dispute that it is to": (
        [
            plan(),
            won(1, "03-10", "10000"),
            issued("04-01", "2026-03"),
            disputed("04-02", "2026-03", 1),
            answered("04-03", "2026-03", 1, "accepted", "120"),
            issued("05-01", "2026-04"),
            unsaid("05-02", "2026-03", LineDisputed),
        ],
        [Paid("2026-05", "", "-120")],
    ),
}


def test_months_and_rates_are_those_of_the_business_time_zone() -> None:
    with payroll(
        plan(),
        rates("01-30", CNY="7"),
        late("02-01", won(1, "01-31", "1000", currency="USD", at="23:59")),
        rates("02-01", CNY="8"),
        won(2, "02-01", "1000", currency="USD", at="00:00"),  # still January in London
        timezone="Asia/Shanghai",
    ) as found:
        paid_in = {
            month: [str(line.commission) for line in found.asks("ann", month).lines]
            for month in ("2026-01", "2026-02")
        }
        assert paid_in == {"2026-01": ["350"], "2026-02": ["400"]}


def test_an_amendment_that_is_taken_back_whole_is_not_outside_the_window() -> None:
    with payroll(
        plan(clawback_days=30),
        won(1, "01-06", "10000"),
        reopened(1, "03-06"),  # 59 days: the 10,000 are kept
        won(1, "03-10", "12000", again=True),
        amended(1, "03-12", "10000"),  # takes back the 2,000 of two days ago
        invoiced(1, "03-13", "10000"),
    ) as found:
        march = found.asks("ann", "2026-03")
        assert [str(line.commission) for line in march.lines] == ["100", "-100"]
        assert [(each.event, each.amount, each.reason) for each in march.not_credited] == [
            ("reopened", Decimal(-10_000), "outside_clawback_window"),
            ("won", Decimal(10_000), "kept_of_earlier_win"),
        ]


@pytest.mark.parametrize("name", CASES)
def test_what_is_paid_is_what_was_worked_out_by_hand(name: str) -> None:
    check(name)


def check(name: str) -> None:
    steps, wanted = CASES[name]
    with payroll(*steps) as found:
        for each in wanted:
            view = found.asks(each.rep, each.period)
            lines = [str(line.commission) for line in view.lines]
            more = [str(line.commission) for line in view.differences]
            assert (" ".join(lines), " ".join(more)) == (each.lines, each.more), each
            earned = sum(map(Decimal, (*lines, *more)), Decimal(0))
            assert view.totals.earned == earned
            payable = earned if each.payable is None else Decimal(each.payable)
            # what was agreed since it was issued is paid beside, with the next statement
            assert view.totals.payable - view.totals.agreed == payable, each


def rounds_half_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(accrual, "ROUND_HALF_EVEN", "ROUND_HALF_UP")


def takes_the_first_credits_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commission_book, "reversed", list, raising=False)


def goes_by_the_team_of_now(patch: pytest.MonkeyPatch) -> None:
    of = Teams.of
    patch.setattr(Teams, "of", lambda teams, rep, _: of(teams, rep, 2**61))


def pays_every_difference_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(issued_statements, "_settled", lambda *_: ({}, {}))


def begins_an_accrual_with_every_version(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        PlanSchedule,
        "accrual",
        lambda _, version, day: AccrualKey(version.version, day.replace(day=1)),
    )


def pays_a_sale_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CommissionBook, "_earlier", lambda *_: iter(()))


def leaves_the_cap_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(accrual, "_above_cap", lambda *_: Decimal(0))


@pytest.mark.parametrize(
    ("mistake", "name"),
    [
        (rounds_half_up, "cents are rounded half to even, once for all that accrued"),
        (
            takes_the_first_credits_back,
            "a refund takes back what was credited last, in the accrual that it is of",
        ),
        (goes_by_the_team_of_now, "a plan of a team pays who was in it at the win"),
        (pays_every_difference_again, "a difference is paid once"),
        (
            begins_an_accrual_with_every_version,
            "a plan that is revised in mid-period goes on where it says so",
        ),
        (
            pays_a_sale_twice,
            "a deal that is won again is paid for what goes beyond what was kept of it",
        ),
        (leaves_the_cap_out, "a cap is the most that is paid, whatever is sold above it"),
    ],
)
def test_a_mistake_would_be_noticed(
    mistake: Callable[[pytest.MonkeyPatch], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        check(name)
