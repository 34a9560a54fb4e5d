"""How fast furet is here, beside the limits of the machine and beside another engine, on models real and made up."""
