"""What a person asks when something seems wrong: doctor, rescoring, Flower."""
