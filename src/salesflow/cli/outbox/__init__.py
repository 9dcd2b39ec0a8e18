"""`salesflow outbox`: what is delivered to other systems, and reports on a schedule."""
