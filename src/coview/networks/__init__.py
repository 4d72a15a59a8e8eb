"""Things with weights and no opinion."""
