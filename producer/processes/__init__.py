"""Child processes of ours: started, watched, stopped."""
