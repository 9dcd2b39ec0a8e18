"""What every question stands on: tables, moments, periods, currencies, statistics, balances."""
