"""Files of 3D points and skeletons in motion: TRC, C3D, BVH, ASF/AMC, CSV, npz."""
