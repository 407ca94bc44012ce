"""Tables, views and conditions on states. Knows no statement."""
