"""History of CRM systems, from their exports: a folder per system over what they share.

`importer` reads an export, `records` is what every system's records come to, `deal_facts` makes
facts of them. A system (`salesforce`) says what its tables are called and what their columns
mean; ordering, comparing and recording are those of every importer.
"""
