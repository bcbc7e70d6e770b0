"""The figures and tables of the paper, each as one experiment."""
