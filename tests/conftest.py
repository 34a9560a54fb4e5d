"""Its place makes `import tiny` work in every test below."""
