"""The answer: from what every output sees to the field that outputs have in common."""
