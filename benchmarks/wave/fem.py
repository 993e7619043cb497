"""The wave equation `u_tt = u_xx + u_yy` on the unit square by finite elements, with displacements given on its edge.

Biquadratic elements on a grid of squares (scikit-fem), and Newmark's method of average acceleration in time, which is
of second order, keeps energy, and is stable for every step (Newmark, 1959).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from skfem import Basis, ElementQuad2, MeshQuad
from skfem.models.poisson import laplace, mass

Array = NDArray[np.float64]
# Displacement of the edge and its second derivative in time, `(nodes, problems)` each, at a time
Edge = Callable[[float], tuple[Array, Array]]


class WaveEquation:
    """A mesh, its matrices, and a factorisation for one step of time.

    Parameters
    ----------
    cells
        Elements along a side.
    step
        Step of time.
    """

    def __init__(self, cells: int, step: float) -> None:
        line = np.linspace(0, 1, cells + 1)
        self.basis = Basis(MeshQuad.init_tensor(line, line), ElementQuad2())
        self.mass, self.stiffness = mass.assemble(self.basis).tocsr(), laplace.assemble(self.basis).tocsr()
        self.step = step
        self.edge = self.basis.get_dofs().flatten()
        self.inner = np.setdiff1d(np.arange(self.basis.N), self.edge)
        within = np.ix_(self.inner, self.inner)
        self._solve = splu((self.mass[within] + step**2 / 4 * self.stiffness[within]).tocsc()).solve
        self._start = splu(self.mass[within].tocsc()).solve

    @property
    def nodes(self) -> Array:
        """`(2, all nodes)`: where displacements are."""
        places: Array = self.basis.doflocs
        return places

    def march(self, edge: Edge, start: Array, speed: Array, steps: int) -> Iterator[Array]:
        """Displacements `(all nodes, problems)` at every step, the start being the first.

        Parameters
        ----------
        edge
            What moves on the edge, in the order of `self.edge`.
        start, speed
            Displacements and speeds at the start, `(all nodes, problems)`.
        """
        h, inner = self.step, self.inner
        rows_m, rows_k = self.mass[inner], self.stiffness[inner]
        u, v, a = start.copy(), speed.copy(), np.zeros_like(start)
        u[self.edge], a[self.edge] = edge(0.0)
        a[inner] = self._start(-(rows_m @ a + rows_k @ u))
        yield u
        for number in range(1, steps + 1):
            ahead = u + h * v + h**2 / 4 * a
            faster = v + h / 2 * a
            moved, pushed = edge(number * h)
            ahead[self.edge] = moved
            a = np.zeros_like(a)
            a[self.edge] = pushed
            a[inner] = self._solve(-(rows_m @ a + rows_k @ ahead))
            u, v = ahead, faster + h / 2 * a
            u[inner] += h**2 / 4 * a[inner]
            yield u

    def error(self, u: Array, exact: Callable[[Array, Array], Array]) -> float:
        """L2 norm of the difference from an exact field."""
        found = self.basis.interpolate(u)
        x, y = self.basis.global_coordinates()
        return float(np.sqrt((((found - exact(x, y)) ** 2) * self.basis.dx).sum()))

    def at(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """A function that tells fields `(nodes, problems)` at these places: `(places, problems)`."""
        probe = self.basis.probes(np.stack([x, y]))
        return lambda u: probe @ u
