"""Groups of factors that rank names alike, and an order in which they are neighbours.

What does not belong here: the correlations themselves (`factor_correlations.py`), the picture (`pictures.py`).
"""

from dataclasses import dataclass

import numpy as np

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

HEIGHT = 0.5
"""Clusters whose factors have a mean absolute rank correlation of at least one half with each other are one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """A partition of factors.

    Parameters
    ----------
    number
        int64 of shape (n_factors,): cluster of each factor, numbered from 1 as they come in the order of `place`.
    place
        int64 of shape (n_factors,): place of each factor, from 1, in an order in which similar ones are neighbours and
        the factors of a cluster are next to each other.
    """

    number: Counts
    place: Counts


def cluster_factors(correlation: Array, *, height: float = HEIGHT) -> Clusters:
    r"""Group factors by hierarchical clustering with average linkage.

    1. The distance of two factors is :math:`1 - |\rho|`: a factor and its negative tell the same. Where the
       correlation is unknown it is 1, as nothing speaks for putting them together.
    2. Join the two clusters with the smallest mean distance between a factor of the one and a factor of the other,
       until one is left.
    3. Cut the tree at `height`: joins at most that high are clusters.
    4. Number the factors (`place`) and clusters from left to right in the tree.

    Parameters
    ----------
    correlation
        float64 of shape (n_factors, n_factors), symmetric. NaN is unknown; the diagonal does not matter.
    height
        Largest mean distance that is joined, in [0, 1). A factor without any known correlation is therefore a cluster
        of its own.

    Returns
    -------
    The same correlations in the same order give the same clusters; equal distances are joined in the order of the
    factors.

    Raises
    ------
    EvaluationError
        If the matrix is not square, not symmetric, or beyond 1; or the height is not in [0, 1).

    References
    ----------
    Sokal and Michener (1958), A statistical method for evaluating systematic relationships, University of Kansas
    Science Bulletin 38. Muellner (2011), Modern hierarchical, agglomerative clustering algorithms, arXiv:1109.2378.
    """
    n = len(correlation)
    if correlation.shape != (n, n):
        raise EvaluationError(
            f"Clustering wants correlations of shape (n_factors, n_factors), got {correlation.shape}."
        )
    if not 0.0 <= height < 1.0:
        raise EvaluationError(f"Clustering wants a height from 0 to below 1, got {height}.")
    if not np.array_equal(correlation, correlation.T, equal_nan=True):
        raise EvaluationError("Clustering wants a symmetric matrix: the correlation of a with b is that of b with a.")
    if n < 2:
        return Clusters(number=np.ones(n, np.int64), place=np.ones(n, np.int64))
    distance = 1.0 - np.abs(np.where(np.isnan(correlation), 0.0, correlation))
    np.fill_diagonal(distance, 0.0)
    if distance.min() < 0.0:
        raise EvaluationError(f"A correlation is from -1 to 1, got one of size {1.0 - distance.min():.6g}.")
    from scipy.cluster.hierarchy import average, fcluster, leaves_list
    from scipy.spatial.distance import squareform

    tree = average(squareform(distance, checks=False))
    leaves = np.asarray(leaves_list(tree), dtype=np.int64)
    place = np.empty(n, np.int64)
    place[leaves] = np.arange(1, n + 1)
    of_leaf = np.asarray(fcluster(tree, height, criterion="distance"))[leaves]
    number = np.empty(n, np.int64)
    # the factors of a cluster are one branch, so neighbours among the leaves
    number[leaves] = 1 + np.cumsum(np.r_[False, of_leaf[1:] != of_leaf[:-1]])
    return Clusters(number=number, place=place)
