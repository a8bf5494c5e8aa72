// The steps of the protocol that the simulation must miss when they are left out. MUTATION(name, what is done wrong)
