"""The words of Modelway: signature, table, inference, errors.

Standard library and numpy only; everything else may import this, this imports nothing else.
"""
