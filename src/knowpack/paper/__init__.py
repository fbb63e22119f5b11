"""The paper's figures as data: arXiv 2502.14502v3, typed from its tables; `reference` loads them."""
