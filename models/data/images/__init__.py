"""Folders of images: which image is of which class, how large all are made, and their pixels.

Nothing here imports PyTorch; Pillow is imported by what opens images, `headers` and `pixels`.
"""
