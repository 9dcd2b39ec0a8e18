CREATE OR REPLACE TEMP TABLE legs AS
SELECT if(occurred < $start, 'opening', kind) AS kind,
       if(occurred < $start, NULL, event_id) AS event_id, currency,
       sum(sign) AS deals, sum(sign * amount) AS amount,
       sum(sign * amount::HUGEINT * probability) AS weighted
FROM (
    SELECT kind, occurred, event_id, -sign AS sign, left_currency AS currency,
           left_amount AS amount, left_probability AS probability
    FROM pipeline_by($closing, $known_at) WHERE left_outcome = 'open'
    UNION ALL
    SELECT kind, occurred, event_id, sign, entered_currency, entered_amount, entered_probability
    FROM pipeline_by($closing, $known_at) WHERE entered_outcome = 'open'
)
GROUP BY ALL;

SELECT currency, sum(deals), sum(amount), sum(weighted)
FROM legs WHERE kind = 'opening' GROUP BY ALL
HAVING sum(deals) <> 0 OR sum(amount) <> 0 OR sum(weighted) <> 0;

SELECT currency, kind, count(*), sum(deals), sum(amount), sum(weighted)
FROM legs WHERE kind <> 'opening' AND (deals <> 0 OR amount <> 0 OR weighted <> 0)
GROUP BY ALL;

SELECT currency, sum(deals), sum(amount), sum(weighted) FROM legs GROUP BY ALL
HAVING sum(deals) <> 0 OR sum(amount) <> 0 OR sum(weighted) <> 0;
