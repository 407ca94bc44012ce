"""When a schedule fires, and the job it submits then."""
