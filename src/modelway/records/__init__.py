"""What was predicted: every answer and refusal recorded, and the labels that come later."""
