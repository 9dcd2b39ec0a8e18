"""The log and the read tables in Arrow and Parquet, for engines that work on many machines."""
