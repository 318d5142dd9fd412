"""Sums of whole numbers, in closed form."""


def triangle(n: int) -> int:
    """1 + 2 + ... + n"""
    return n * (n + 1) // 2


def pyramid(n: int) -> int:
    """1 + 4 + ... + n^2"""
    return n * (n + 1) * (2 * n + 1) // 6


def tetrahedron(n: int) -> int:
    """triangle(1) + ... + triangle(n)"""
    return n * (n + 1) * (n + 2) // 6
