"""The figures of the README, each measured beside what it is compared with: `python -m benchmarks`.

One module a subject, each with a function `rows(full)`. None of this is part of the package.
"""
