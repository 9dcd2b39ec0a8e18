SELECT rank() OVER (PARTITION BY currency ORDER BY sold DESC), person, currency, sold
FROM (
    SELECT person, currency, sum(sign * amount::HUGEINT * share) AS sold
    FROM booking_by($as_of, $known_at)
    WHERE occurred >= $start AND occurred < $end AND currency IS NOT NULL
      AND person IS NOT NULL
    GROUP BY ALL
    HAVING sold > 0
);
