"""The parts of the Predictions page: one module per kind of prediction, and what they share."""
