CREATE OR REPLACE TEMP TABLE expected AS
SELECT currency, forecast_category, count(*) AS deals, coalesce(sum(amount), 0) AS amount,
       coalesce(sum(amount::HUGEINT * probability), 0) AS weighted
FROM deal_state_at($as_of, $known_at)
WHERE outcome = 'open' AND expected_close BETWEEN $first AND $last
GROUP BY ALL;

SELECT currency, sum(deals), sum(amount), sum(weighted) FROM expected GROUP BY ALL;

SELECT currency, forecast_category, deals, amount, weighted FROM expected;

CREATE OR REPLACE TEMP TABLE booked AS
SELECT currency, sum(sign * amount::HUGEINT * share) AS amount
FROM booking_by($as_of, $known_at)
WHERE currency IS NOT NULL AND occurred >= $start AND occurred < $end
GROUP BY ALL
HAVING amount <> 0;

SELECT currency, amount FROM booked;

SELECT currency, coalesce(sum(amount) FILTER (outcome = 'won'), 0) / sum(amount)
FROM closing_at($as_of, $known_at)
WHERE outcome IN ('won', 'lost') AND closed >= $trailing
  AND (currency IN (SELECT currency FROM expected) OR currency IN (SELECT currency FROM booked))
GROUP BY ALL
HAVING sum(amount) > 0;

SELECT currency, count(*), coalesce(sum(amount), 0), count(*) FILTER (fate = 'won'),
       count(*) FILTER (fate = 'otherwise'), count(*) FILTER (fate = 'pending'),
       count(*) FILTER (fate = 'moved'), count(*) FILTER (fate = 'overdue'),
       coalesce(sum(amount) FILTER (fate IN ('moved', 'overdue')), 0)
FROM (
    SELECT at_start.currency, at_start.amount,
           CASE WHEN at_end.outcome = 'won' THEN 'won'
                WHEN at_end.outcome IS DISTINCT FROM 'open' THEN 'otherwise'
                WHEN at_end.expected_close <= $past THEN 'overdue'
                WHEN at_end.expected_close IS NULL OR at_end.expected_close > $last THEN 'moved'
                ELSE 'pending' END AS fate
    FROM deal_state_at($start - 1, $known_at) AS at_start
    LEFT JOIN deal_state_at($closing, $known_at) AS at_end USING (entity_id)
    WHERE at_start.outcome = 'open' AND at_start.expected_close BETWEEN $first AND $last
)
GROUP BY ALL;
