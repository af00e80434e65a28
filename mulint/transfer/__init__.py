"""The learning-rate sweep: does the best rate stay where it is as the width grows?"""
