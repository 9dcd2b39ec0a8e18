"""An order desk: a web service with tables of its own that keeps its deals in salesflow."""
