from django.contrib import admin

from .models import Customer, Order


class Orders(admin.TabularInline):
    model = Order
    extra = 1


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    list_display = ["name", "mood"]
    list_filter = ["mood"]
    search_fields = ["name"]
    inlines = [Orders]


admin.site.register(Order)
