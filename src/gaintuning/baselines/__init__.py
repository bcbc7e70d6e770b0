"""Methods of others that need one noisy image and no training set, to compare with."""
