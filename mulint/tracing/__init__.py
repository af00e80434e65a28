"""The dynamic pass: build a model at several widths, see how its parameters are used, measure how they scale.

The only room that imports torch. It runs in a worker process, never in the process of the command line.
"""
