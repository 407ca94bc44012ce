"""What follows the end of a job: it is published, its changes are delivered."""
