"""Points from pixels of known cameras: linear, robust, optimal and refined."""
