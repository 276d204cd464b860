"""Networks for pictures: torchvision's by their own names, and a few small ones of ours."""
