from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=50, unique=True)
    mood = models.CharField(max_length=10, default="low", db_index=True)
    tags = ArrayField(models.TextField(), default=list)
    about = models.JSONField(default=dict)
    seen = models.DateTimeField(null=True)

    class Meta:
        indexes = [GinIndex(fields=["tags"], name="customer_tags")]

    def __str__(self):
        return self.name


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    total = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(total__gte=0), name="not_negative")]
