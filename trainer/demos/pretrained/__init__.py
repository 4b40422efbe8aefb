"""A real pretrained model learns from a verifiable reward, on a laptop."""
