"""`salesflow import` and `salesflow rates`: what other systems say happened."""
