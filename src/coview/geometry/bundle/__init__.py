"""Bundle adjustment: analytic residuals, Schur complement, Levenberg-Marquardt, priors; rigs with a board too."""
