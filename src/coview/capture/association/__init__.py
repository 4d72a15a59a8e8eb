"""Who is who: detections of several people joined across views and over time."""
