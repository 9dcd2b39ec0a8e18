"""An event-sourced sales process engine to embed in your own system."""
