"""What readers downstream get: publications, their feed of changes, deliveries and notifications."""
