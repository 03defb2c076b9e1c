"""Networks: whatever the user has, as images in and layers out."""
