"""Lightning's loops as this package runs them: all contact with Lightning's private parts is here.

`tests/training/test_lightning_parts.py` names each private part that is used.
"""
