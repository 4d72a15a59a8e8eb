"""2D joints of detectors: files in, one table of detections out."""
